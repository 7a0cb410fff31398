"""Event values: codes that outside readers rely on, and the public print."""

from exchange.events import (
    CancelReason,
    Fill,
    OrderAccepted,
    OrderCancelled,
    RejectReason,
    public_trades,
)
from exchange.instrument import parse_instrument
from exchange.matching import Ids, MatchingEngine
from exchange.order import OrderRequest, OrderType, Side
from tests.exchange.venue import TestVenue


def test_cancel_reasons_carry_the_codes_of_the_specification() -> None:
    codes = {0, 1, 3, 4, 6, 7, 9, 10, 13, 14, 15, 17, 20, 22, 23, 27, 31, 32, 33, 38, 39}
    assert {int(reason) for reason in CancelReason} == codes
    assert CancelReason(3) is CancelReason.RISK_CONTROL
    assert CancelReason(32) is CancelReason.SELF_TRADE


def test_reject_reasons_are_distinct_and_cover_the_specification() -> None:
    values = [reason.value for reason in RejectReason]
    assert len(values) == len(set(values)) == len(RejectReason.__members__), "no aliases"
    codes = {reason.okx_code for reason in RejectReason}
    listed = {"51006", "51008", "51017", "51137", "51138", "51187", "51502"}
    # Nothing here can meet 51038 (an IOC order is over at once), 51041 (all positions are net),
    # 51332 (no close fraction) or 59111 (no leverage query).
    assert listed | {f"510{n}" for n in (36, 37, 39, 40, 42)} <= codes
    assert RejectReason.INSUFFICIENT_MARGIN.okx_code == "51008"
    assert RejectReason.INSUFFICIENT_MARGIN.meaning


def test_public_trades_merge_the_fills_of_one_price() -> None:
    venue = TestVenue()
    venue.sell(2, 101)
    venue.sell(3, 101)
    venue.sell(4, 102)
    engine = venue.engine
    request = OrderRequest("BTC-USDT-SWAP", Side.BUY, OrderType.IOC, 10, 102)
    trades = public_trades(engine.place(1, request, 77))
    assert [(t.time_ns, t.price_ticks, t.size_lots, t.taker_side) for t in trades] == [
        (77, 101, 5, Side.BUY),
        (77, 102, 4, Side.BUY),
    ]
    assert trades[0].instrument is engine.instrument
    assert public_trades(engine.place(1, request, 78)) == []


def test_fill_and_order_carry_what_the_clearing_side_needs() -> None:
    engine = MatchingEngine(parse_instrument("BTC-USDT-SWAP"))
    request = OrderRequest("BTC-USDT-SWAP", Side.SELL, OrderType.LIMIT, 5, 100, "mine")
    maker = engine.new_order(4, request, 10, is_liquidation=True, cause_id=8)
    assert (maker.order_id, maker.owner, maker.slot, maker.cause_id) == (1, 4, -1, 8)
    assert (maker.client_order_id, maker.is_liquidation, maker.time_ns) == ("mine", True, 10)
    assert engine.submit(maker, 11) == [OrderAccepted(11, maker)]
    request = OrderRequest("BTC-USDT-SWAP", Side.BUY, OrderType.IOC, 7, 120)
    accepted, fill, cancelled = engine.place(5, request, 12)
    assert isinstance(accepted, OrderAccepted)
    assert isinstance(fill, Fill)
    assert (fill.fill_id, fill.price_ticks, fill.size_lots) == (1, 100, 5)
    assert fill.maker is maker and fill.taker is accepted.order
    assert cancelled == OrderCancelled(12, fill.taker, 2, CancelReason.IOC)


def test_engines_of_one_venue_share_their_ids() -> None:
    order_ids, fill_ids = Ids(9), Ids(499)
    engines = [
        MatchingEngine(parse_instrument(name), order_ids=order_ids, fill_ids=fill_ids)
        for name in ("BTC-USDT-SWAP", "ETH-USDT-SWAP")
    ]
    ids: list[int] = []
    fills: list[int] = []
    for engine in engines:
        for owner, side in ((1, Side.BUY), (2, Side.SELL)):
            name = engine.instrument.instrument_id
            request = OrderRequest(name, side, OrderType.LIMIT, 1, 100)
            for event in engine.place(owner, request, 1):
                if isinstance(event, OrderAccepted):
                    ids.append(event.order.order_id)
                elif isinstance(event, Fill):
                    fills.append(event.fill_id)
    assert ids == [10, 11, 12, 13]
    assert fills == [500, 501]
