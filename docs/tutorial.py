# %% [markdown]
# # From a first run to a research question
#
# A notebook in a plain file: run it as a script (`.venv/bin/python docs/tutorial.py`, half a
# minute), or cell by cell in an editor that knows `# %%`. It runs the worst ten minutes of
# 12 March 2020, looks into the results with polars, and then asks two questions:
#
# 1. How does bad debt depend on the leverage of the traders?
# 2. Does a bigger insurance fund change who is liquidated, or only who pays?

# %%
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl

from scenarios.config import load_scenario
from scenarios.run import run_scenario
from scenarios.run_directory import Run
from scenarios.sweep import collect, open_sweep, run_sweep
from scenarios.sweep_summary import interval_words, summarise

SCENARIO = "black-thursday"
START, END = "2020-03-12T10:38:00Z", "2020-03-12T10:48:00Z"
FOLDER = Path(tempfile.mkdtemp(prefix="selloff-tutorial-"))
pl.Config.set_tbl_hide_dataframe_shape(True)
pl.Config.set_tbl_hide_column_data_types(True)

# %% [markdown]
# ## One run
#
# `run_scenario` is what `selloff run` calls. Overrides are the fields of the scenario file by their
# dotted names; the answer is the summary, the tables are in the folder.

# %%
window = {"market.start": START, "market.end": END, "recording.account_sample_s": 60}
summary = run_scenario(SCENARIO, seed=1, overrides=window, out=FOLDER / "first")

print(f"{summary['orders']:,} orders of {summary['accounts']:,} accounts")
print(f"{summary['liquidated_accounts']} accounts liquidated, {summary['bankrupt_accounts']} taken")
print(f"bad debt {summary['bad_debt_usd']:,.0f} USD, the fund stands at")
print(f"{summary['insurance_fund_usd']}")
# Money is never made or lost: all ledger accounts less what was paid in, in atoms, by currency.
print(f"conservation error {summary['conservation_error_atoms']}")

# %% [markdown]
# ## Into the tables
#
# `Run.load` opens the folder; every table is a polars data frame. `marks` has a look at each market
# every ten seconds: prices and how much rests within 1 % of the mid.

# %%
run = Run.load(FOLDER / "first")
perpetual = run.marks.filter(instrument="BTC-USDT-SWAP")
print(perpetual.select(pl.col("mark").min().alias("lowest"), pl.col("mark").max().alias("highest")))
print(perpetual.select("time", "index", "mark", "best_bid", "best_ask").tail(3))

# %% [markdown]
# `liquidations` has one row for every forced step, with the stage that sent it, what it cost
# against the mark, and `trigger_id`: the step of another account whose fills moved the price last
# before this account fell. Zero means that the path alone did it.

# %%
by_stage = (
    run.liquidations.group_by("stage")
    .agg(
        steps=pl.len(),
        accounts=pl.col("account").n_unique(),
        notional_usd=pl.col("notional_usd").sum().round(),
        slippage_usd=pl.col("slippage_usd").sum().round(),
        pushed_by_others=(pl.col("trigger_id") > 0).mean().round(2),
    )
    .sort("notional_usd", descending=True)
)
print(by_stage)

# %% [markdown]
# Every figure of `docs/metrics.md` is in `run.metrics`, with its unit and its definition.

# %%
shown = ["price.drawdown", "forced.notional_usd", "cascade.branching_ratio", "waterfall_usd.fund"]
print(run.metrics.filter(pl.col("metric").is_in(shown)).select("metric", "value", "unit"))

# %% [markdown]
# ## Question 1: leverage and bad debt
#
# The traders that a crash liquidates are the entries of kind `leveraged_trader`. Lists in a
# scenario are addressed by number, so first find the entry that trades the perpetual.

# %%
_, tables, _ = load_scenario(SCENARIO)
number = next(
    n
    for n, agent in enumerate(tables["agents"])
    if agent["kind"] == "leveraged_trader" and agent["instrument_id"] == "BTC-USDT-SWAP"
)
key = f"agents.{number}.median_leverage"

# %% [markdown]
# A sweep is a grid times seeds on any `concurrent.futures.Executor`. One thread is enough here;
# `open_executor(jobs=4, scheduler=None)` in `scenarios.sweep` gives processes, an address a Dask
# cluster, and `selloff sweep` does all of this from the command line. The window is laid in by a
# grid with one value.

# %%
grid = [("market.start", [START]), ("market.end", [END]), (key, ["3.0", "6.0", "12.0"])]
sweep = open_sweep(SCENARIO, grid, seeds=[1, 2], out=FOLDER / "leverage")
with ThreadPoolExecutor(1) as executor:
    done, failed = run_sweep(sweep, executor)
results = collect(sweep)
leverage = summarise(results, [key])
print(f"{done} runs done, {failed} failed")
for row in leverage.iter_rows(named=True):
    liquidated = row["liquidated_accounts.mean"]
    debt = interval_words(row, "bad_debt_usd")
    print(f"median leverage {row[f'set.{key}']:>4}: {liquidated:5.0f} liquidated, bad debt {debt}")

# %% [markdown]
# More leverage, more liquidations: that is plain. Bad debt is another matter: it hangs on a few
# large accounts, and two seeds leave a 95 % interval (±) as wide as the effect. Take 32 seeds
# (`selloff sweep black-thursday --grid ... --seeds 0:32`) before quoting a number.
#
# ## Question 2: does a bigger fund change who is liquidated?
#
# Same seed, same traders, same flow: the random streams are keyed by name, so the two runs differ
# in nothing but the fund until the fund matters.

# %%
runs: dict[str, Run] = {}
for fund in ("0", "2000000"):
    place = FOLDER / f"fund-{fund}"
    overrides = {**window, "venue.insurance_fund_usd": float(fund)}
    run_scenario(SCENARIO, seed=1, overrides=overrides, out=place)
    runs[fund] = Run.load(place)


def fallen(run: Run) -> set[int]:
    """Accounts of traders with a forced step."""
    stages = pl.col("stage").cast(pl.String)
    forced = run.liquidations.filter(~stages.is_in(["fund_unwind", "deleveraging"]))
    return set(forced["account"])


def paid(run: Run) -> dict[str, float]:
    """Who paid for the deficits, USD."""
    part = pl.col("metric").str.strip_prefix("waterfall_usd.")
    rows = run.metrics.filter(pl.col("metric").str.starts_with("waterfall_usd."))
    return {str(k): float(v) for k, v in rows.select(part, "value").iter_rows()}


without, with_fund = fallen(runs["0"]), fallen(runs["2000000"])
both, either = len(without & with_fund), len(without | with_fund)
print(f"liquidated without a fund {len(without)}, with 2 million {len(with_fund)}, in both {both}")
for fund, one in runs.items():
    words = ", ".join(f"{who} {amount:,.0f}" for who, amount in paid(one).items())
    print(f"fund of {int(fund):>9,}: {words}; {one.deleveragings.height} deleveragings")

# %% [markdown]
# Nobody is saved from liquidation by the fund: what starts it is the account's own margin. Where
# the two sets differ at all, it is because the positions of the bankrupt went elsewhere and moved
# the price another way. What the fund changes is who pays: without it winners are closed out
# (deleveraging) and deficits stay uncovered; with it the fund pays.
#
# That is one seed and ten minutes. From here: your own scenario (`README.md`), your own
# trader (`docs/custom-agent.md`), what the figures mean (`docs/metrics.md`), and what none of this
# can tell you (`docs/limits.md`).
print(f"the results are in {FOLDER}")
