"""The command `selloff`.

This file declares options and calls one plain function per command. The functions live in
modules of their own and are imported inside the commands, so that `selloff --help` loads neither
numpy nor numba. Input that is wrong ends in one line on stderr and exit code 2.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from scenarios.errors import UserError, printable

# The root of all errors about the command line itself; click's or typer's own, by version.
_CommandLineError: type[Exception] = typer.BadParameter.__mro__[2]

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO)
"""What the disk says to a command that has nothing wrong with it."""
_STOPPED = 130  # what a command returns after Ctrl-C


class OneLineErrors(TyperGroup):
    """A command group that answers wrong input with one line and an exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command; arguments as in click, errors in one line in both modes."""
        try:
            result = super().main(
                args, prog_name, complete_var, False, windows_expand_args, **extra
            )
        except UserError as error:
            _fail(error.message, error.exit_code)
        except _CommandLineError as error:
            format_message = getattr(error, "format_message", error.__str__)
            line = " ".join(str(format_message()).split()).rstrip(".")
            _fail(f"{line} (selloff [COMMAND] --help lists what is allowed)", 2)
        except typer.Abort:
            _fail("aborted", 1)
        except OSError as error:
            if error.errno not in _DISK_ERRORS:
                raise
            where = f"{error.filename}: " if error.filename else ""
            _fail(f"{where}cannot be written: {error.strerror}", 1)
        if result == _STOPPED:
            _fail("stopped", _STOPPED)
        if standalone_mode:
            sys.exit(result if isinstance(result, int) else 0)
        return result


def _fail(message: str, exit_code: int) -> NoReturn:
    print(f"error: {printable(message)}", file=sys.stderr)
    sys.exit(exit_code)


app = typer.Typer(
    name="selloff",
    cls=OneLineErrors,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="An exchange that you can crash: order books, portfolio margin, liquidations, losses.",
)

PortfolioPath = Annotated[Path, typer.Argument(help="Portfolio file, TOML or JSON.")]
Rules = Annotated[
    str | None, typer.Option(help="Rule set: a name (okx-2025, okx-2024, okx-2021) or a path.")
]
Mode = Annotated[str | None, typer.Option(help="Margin mode: portfolio or multi_currency.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


@app.callback(invoke_without_command=True)
def selloff(context: typer.Context) -> None:
    """Without a command: the help, which is no error."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def margin(
    file: PortfolioPath,
    json: Json = False,
    rules: Rules = None,
    mode: Mode = None,
    compare: Annotated[
        str | None,
        typer.Option(help="Set beside: multi_currency, portfolio, a rule set's name or path."),
    ] = None,
    order: Annotated[
        str | None,
        typer.Option(
            help="What this order would do, e.g. 'sell 5 BTC-USDT-SWAP @ 97000 ioc'"
            " (limit, ioc, fok, post_only; '@ market' or a trailing market)."
        ),
    ] = None,
    transfer_out: Annotated[
        str | None, typer.Option(help="Whether this can be withdrawn, e.g. '1000 USDT'.")
    ] = None,
) -> None:
    """Margin of a portfolio file: equity, every component, the worst case, what binds."""
    from scenarios.margin_command import margin_command
    from scenarios.warm import KERNELS, announce_compilation

    announce_compilation(KERNELS)
    margin_command(
        file,
        as_json=json,
        rules=rules,
        mode=mode,
        compare=compare,
        order=order,
        transfer_out=transfer_out,
    )


@app.command()
def stress(
    file: Annotated[
        Path, typer.Argument(help="Portfolio file (TOML, JSON) or book of accounts (CSV, Parquet).")
    ],
    json: Json = False,
    html: Annotated[
        Path | None, typer.Option(help="Write heat maps to this file (self-contained HTML).")
    ] = None,
    rules: Rules = None,
    mode: Mode = None,
    index_moves: Annotated[
        str, typer.Option(help="Moves of all coins in %, separated by commas.")
    ] = "-50,-40,-30,-20,-10,-5,0,5,10,20,30,40,50",
    vol_moves: Annotated[
        str, typer.Option(help="Moves of all volatilities in % of their value.")
    ] = "-50,0,50,100",
    stablecoin_prices: Annotated[
        str, typer.Option(help="USD prices of the stablecoin.")
    ] = "1,0.99,0.98,0.97,0.95,0.9,0.85,0.8",
    stablecoin: Annotated[
        str | None, typer.Option(help="The stablecoin that moves; USDT if the file has it.")
    ] = None,
    market: Annotated[
        Path | None, typer.Option(help="Of a book: file with time and [market] prices.")
    ] = None,
    fund: Annotated[
        list[str] | None,
        typer.Option(
            metavar="USD", help="Of a book: insurance fund, or POOL=USD for one (repeatable)."
        ),
    ] = None,
    slippage: Annotated[
        str | None, typer.Option(help="Of a book: loss in closing, % of the notional.")
    ] = None,
    top: Annotated[
        str | None, typer.Option(help="Of a book: how many accounts that break first; 10.")
    ] = None,
    accounts: Annotated[
        Path | None,
        typer.Option(help="Of a book: write all accounts and their states to a CSV or Parquet."),
    ] = None,
) -> None:
    """An account, or a book of accounts, over a grid of index, volatility, stablecoin moves."""
    from scenarios.stress import stress_command
    from scenarios.warm import ACCOUNT_KERNELS, KERNELS, announce_compilation

    is_book = file.suffix.lower() in (".csv", ".parquet")
    announce_compilation(ACCOUNT_KERNELS if is_book else KERNELS)
    stress_command(
        file,
        as_json=json,
        html=html,
        rules=rules,
        mode=mode,
        index_moves=index_moves,
        vol_moves=vol_moves,
        stablecoin_prices=stablecoin_prices,
        stablecoin=stablecoin,
        market=market,
        funds=fund or [],
        slippage=slippage,
        top=top,
        accounts=accounts,
    )


@app.command()
def replay(
    file: Annotated[
        Path | None,
        typer.Argument(help="Raw feed, plain or gzip; without one, the feed that ships."),
    ] = None,
) -> None:
    """Rebuild an order book from a raw feed and check it against the feed's best quotes."""
    from scenarios.replay import replay_command

    raise typer.Exit(replay_command(file))


@app.command("run")
def run_scenario(
    scenario: Annotated[
        str, typer.Argument(help="A shipped scenario (selloff list) or a TOML file.")
    ],
    seed: Annotated[
        str | None, typer.Option(help="Seed of all randomness; the scenario's own if not given.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a field, e.g. market.end=... (repeatable)."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Results folder; runs/NAME-SEED-HASH if not given.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only say where the results are.")] = False,
    live: Annotated[
        bool, typer.Option("--live", help="Watch the crash in the terminal as it happens.")
    ] = False,
    twin: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="Run the same seed again: no-liquidation, rules=FILE, mode=MODE or FIELD=VALUE.",
        ),
    ] = None,
) -> None:
    """Run a scenario: progress bar, summary, results folder with tables and report."""
    from scenarios.run_command import run_command
    from scenarios.warm import ORDER_KERNELS, announce_compilation

    announce_compilation(ORDER_KERNELS)
    run_command(
        scenario,
        seed=seed,
        overrides=overrides or [],
        out=out,
        quiet=quiet,
        live=live,
        twin=twin,
    )


@app.command("list")
def list_scenarios() -> None:
    """The scenarios that come with selloff."""
    from scenarios.run_command import list_command

    list_command()


RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]


@app.command("show")
def show_run(
    run: RunPath,
    account: Annotated[
        str | None, typer.Option(help="One account: its name or number.", metavar="ID")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="When: 2020-03-12T10:45:00Z, 10:45:00, or from the start 90m; else the end.",
        ),
    ] = None,
) -> None:
    """A run in one screen, or one account's state, margin and history at a time."""
    from scenarios.show import show_command
    from scenarios.warm import KERNELS, announce_compilation

    announce_compilation(KERNELS)
    show_command(run, account=account, at=at)


@app.command()
def explain(
    run: RunPath,
    account: Annotated[str, typer.Argument(help="The account's name or number.")],
) -> None:
    """One account's story in plain words with numbers."""
    from scenarios.explain import explain_command

    explain_command(run, account)


@app.command()
def compare(
    left: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    right: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of another.")],
    html: Annotated[
        Path | None, typer.Option(help="Draw both prices into this file (self-contained HTML).")
    ] = None,
) -> None:
    """What differs between two runs: settings, figures, prices."""
    from scenarios.compare import compare_command

    compare_command(left, right, html)


@app.command()
def report(
    run: RunPath,
    twin: Annotated[
        Path | None, typer.Option(metavar="RUN", help="A run to set beside it in the report.")
    ] = None,
) -> None:
    """Write a run's report.html again, with a twin run beside it if given."""
    from scenarios.report import report_command

    report_command(run, twin)


@app.command()
def sweep(
    scenario: Annotated[
        str, typer.Argument(help="A shipped scenario (selloff list) or a TOML file.")
    ],
    seeds: Annotated[str, typer.Option(help="FROM:TO (TO not included), or 1,5,9.")] = "0:8",
    grid: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=V1,V2", help="A field and the values it takes (repeatable)."),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(help="Processes on this machine; one per core if not given.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask cluster, e.g. tcp://10.0.0.1:8786.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Results folder; sweeps/NAME-HASH if not given.")
    ] = None,
) -> None:
    """Run a scenario over a grid of settings and seeds; resumes where it was stopped."""
    from scenarios.sweep_command import sweep_command
    from scenarios.warm import ORDER_KERNELS, announce_compilation

    announce_compilation(ORDER_KERNELS)
    raise typer.Exit(
        sweep_command(
            scenario, grid=grid or [], seeds=seeds, jobs=jobs, scheduler=scheduler, out=out
        )
    )


@app.command()
def validate(
    scenario: Annotated[
        str, typer.Argument(help="A shipped scenario (selloff list) or a TOML file.")
    ] = "calm-day",
    seeds: Annotated[int, typer.Option(help="Days to pool: the seeds n, n+1, ...")] = 5,
    seed: Annotated[
        str | None, typer.Option(help="The first seed n; the scenario's own if not given.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Processes.")] = 2,
    crash: Annotated[
        bool, typer.Option("--crash", help="Measure the bands of a crash, with a twin run.")
    ] = False,
    json: Json = False,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a field.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the page; validations/NAME-SEED-DAYS else.")
    ] = None,
) -> None:
    """Measure twelve stylised facts of a simulated market, each beside its band and real BTC."""
    from scenarios.validate import validate_command
    from scenarios.warm import ORDER_KERNELS, announce_compilation

    announce_compilation(ORDER_KERNELS)
    validate_command(
        scenario,
        seeds=seeds,
        seed=seed,
        jobs=jobs,
        as_json=json,
        overrides=overrides or [],
        out=out,
        crash=crash,
    )


@app.command("compile")
def compile_modules(
    remove: Annotated[bool, typer.Option("--remove", help="Use the sources again.")] = False,
) -> None:
    """Compile the way of an order to machine code: same results, faster runs."""
    from scenarios.compile_command import compile_command

    compile_command(remove=remove)


def main() -> None:
    """The entry point of the installed command."""
    app(prog_name="selloff")


if __name__ == "__main__":
    main()
