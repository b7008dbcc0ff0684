"""``menace patches …``: what was done to a bot's helper code, by whom, and how to take it back."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from cyclopts import App

from menace.cli.app import app
from menace.cli.output import NOTHING, Column, Output, line, pairs, table, text, when
from menace.cli.patching import tell_diff
from menace.errors import CodingError
from menace.patches import PatchStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console

    from menace.patches import GateReport, Patch, PatchResult
    from menace.records import Json

_UNSHOWN = frozenset({"source", "text and tests"})

patches_app = App(name="patches", help="See what was tried on a bot's helper code; take it back.")
app.command(patches_app)

IN_THE_CODE = (
    PatchStatus.APPLYING,
    PatchStatus.CANARY,
    PatchStatus.KEPT,
    PatchStatus.REVERTING,
)

_ALL = 1_000_000
_LINEAGE = (
    Column("patch"),
    Column("at (UTC)", 4),
    Column("proposer", 1),
    Column("rule", 3),
    Column("for", 2),
    Column("status"),
    Column("figures", 2),
    Column("gates", 1),
)
_WINS = (
    Column("proposer"),
    Column("tried"),
    Column("kept"),
    Column("rejected", 1),
    Column("taken back", 1),
    Column("open", 2),
    Column("win rate"),
)
_GATES = (
    Column("gate"),
    Column("verdict"),
    Column("what was found"),
    Column("figures", 2),
    Column("s", 1),
)


@patches_app.default
@patches_app.command(name="list")
def list_patches(bot: str, /, *, last: int = 20, output: Output = Output()) -> None:
    """Show the lineage of a bot's patches, rejects too, and how often each proposer won.

    A patch in the code stands below the one that was there before; what was tried on top of it
    and is not in the code hangs beside.

    Parameters
    ----------
    bot
        The bot.
    last
        So many of the newest.
    """
    from menace.workspace import Workspace

    if last < 1:
        raise CodingError(f"--last is {last}.", bot=bot, remedy="give 1 or more")
    with Workspace.find() as workspace:
        known = workspace.store.patches(bot, last=_ALL)
    shown, wins = known[-last:], win_rates(known)

    def people(out: Console) -> None:
        if not known:
            line(out, f"nothing was tried on the code of {bot} yet; menace patch {bot}")
            return
        for target, drawn in lineage(shown):
            rows = [_lineage_cells(mark, patch) for mark, patch in drawn]
            table(out, _LINEAGE, rows, title=target)
            line(out, "")
        table(out, _WINS, [_wins_cells(row) for row in wins])
        if len(shown) < len(known):
            line(out, f"the newest {len(shown)} of {len(known)}; --last N shows more", style="dim")
        line(out, "menace patches show NUMBER shows one with its diff", style="dim")

    output.show({"bot": bot, "patches": shown, "proposers": wins}, people=people)


@patches_app.command
def show(number: int, /, *, output: Output = Output()) -> None:
    """Show one patch: what it changed and why, every gate with its figures, the diff.

    Parameters
    ----------
    number
        Of the patch.
    """
    from menace.workspace import Workspace

    with Workspace.find() as workspace:
        patch = workspace.store.patch(number)

    def people(out: Console) -> None:
        line(out, f"patch {number} of {patch.bot}: {patch.status}", style="bold")
        if patch.explanation:
            line(out, patch.explanation, wrap=True)
        line(out, "")
        pairs(out, [(name, value) for name, value in _facts(patch) if value not in {None, ""}])
        if patch.gates:
            line(out, "")
            table(out, _GATES, [_gate_cells(gate) for gate in patch.gates])
        if patch.diff:
            line(out, "")
            tell_diff(out, patch.diff)
        if patch.status in IN_THE_CODE:
            line(out, "")
            line(out, f"take it back: menace patches revert {number}", style="dim")

    output.show(patch, people=people)


@patches_app.command
def revert(number: int, /, *, merge: bool = False, output: Output = Output()) -> None:
    """Take a patch out of the code again, by a commit of its own.

    Where the file was edited since, it is left as it is, and told which lines were edited.

    Parameters
    ----------
    number
        Of the patch.
    merge
        Take it out of an edited file, too, if that touches none of the edits; else both sides are
        written into FILE.menace-merge, beside it.
    """
    from menace.self_improvement_engine.patching import held_bot
    from menace.workspace import Workspace

    with Workspace.find() as workspace:
        bot = workspace.store.patch(number).bot
        coding = workspace.coding(bot)
        with held_bot(workspace.services, bot), output.working(f"taking patch {number} back"):
            result = coding.revert(number, merge=merge)
        patch = workspace.store.patch(number)
    output.show(
        {"bot": bot, "target": patch.target, "revert_commit": patch.revert_commit}
        | {"result": result},
        people=lambda out: line(out, _reverted_text(patch, result), style="bold"),
    )


def lineage(patches: Sequence[Patch]) -> list[tuple[str, list[tuple[str, Patch]]]]:
    """Draw patches as one tree per file: ``(file, [(mark before the number, patch), …])``.

    The line of what is in the code goes straight down; everything else hangs beside the patch
    that was in the code when it was made.
    """
    files: dict[str, dict[int | None, list[Patch]]] = {}
    above: set[tuple[str, int | None]] = set()
    for patch in patches:
        children = files.setdefault(patch.target, defaultdict(list))
        # A parent may be older than what is shown.
        hangs = (patch.target, patch.parent_id) in above
        children[patch.parent_id if hangs else None].append(patch)
        above.add((patch.target, patch.patch_id))
    return [(target, list(_branch(children, None, ""))) for target, children in files.items()]


def _branch(
    children: Mapping[int | None, list[Patch]], parent: int | None, before: str
) -> Iterator[tuple[str, Patch]]:
    """Draw what comes after a patch; goes on by loop where the line goes straight down."""
    at: int | None = parent
    while True:
        found = children.get(at, [])
        straight = next((p for p in reversed(found) if p.status in IN_THE_CODE), None)
        twigs = [patch for patch in found if patch is not straight]
        for patch in twigs:
            is_last = patch is twigs[-1] and straight is None
            yield before + ("└─ " if is_last else "├─ "), patch
            below = before + ("   " if is_last else "│  ")
            yield from _branch(children, patch.patch_id, below)
        if straight is None:
            return
        yield before, straight
        at = straight.patch_id


def win_rates(patches: Sequence[Patch]) -> list[dict[str, Any]]:
    """Count for each proposer what became of its patches, the best first.

    Tried is what was decided about: kept, rejected or taken back. The win rate is kept over
    tried.
    """
    counted: dict[str, dict[PatchStatus, int]] = {}
    for patch in patches:
        of = counted.setdefault(patch.proposer, dict.fromkeys(PatchStatus, 0))
        of[patch.status] += 1
    rows = []
    for proposer, of in counted.items():
        kept, rejected = of[PatchStatus.KEPT], of[PatchStatus.REJECTED]
        taken_back = of[PatchStatus.REVERTED]
        tried = kept + rejected + taken_back
        rows.append(
            {
                "proposer": proposer,
                "tried": tried,
                "kept": kept,
                "rejected": rejected,
                "taken_back": taken_back,
                "open": sum(of.values()) - tried,
                "win_rate": kept / tried if tried else None,
            }
        )
    return sorted(rows, key=lambda row: (-(row["win_rate"] or 0.0), -row["tried"], row["proposer"]))


def _lineage_cells(mark: str, patch: Patch) -> tuple[object, ...]:
    return (
        f"{mark}{patch.patch_id}",
        _minute(patch.at),
        patch.proposer,
        patch.operator,
        str(patch.claim),
        str(patch.status),
        _deltas_text(patch.deltas),
        _gates_text(patch.gates),
    )


def _wins_cells(row: Mapping[str, Any]) -> tuple[object, ...]:
    rate = row["win_rate"]
    counts = (row[name] for name in ("tried", "kept", "rejected", "taken_back", "open"))
    return (row["proposer"], *counts, NOTHING if rate is None else f"{rate:.0%}")


def _gate_cells(gate: GateReport) -> tuple[object, ...]:
    verdict = {True: "passed", False: "REFUSED", None: "no judgement"}[gate.passed]
    return gate.name, verdict, gate.reason, _figures_text(gate.figures), round(gate.seconds, 2)


def _facts(patch: Patch) -> list[tuple[str, object]]:
    return [
        ("file", patch.target),
        ("proposed by", f"{patch.proposer}, rule {patch.operator}"),
        ("for", f"it {patch.claim}"),
        ("made (UTC)", _minute(patch.at)),
        ("decided (UTC)", None if patch.decided_at is None else _minute(patch.decided_at)),
        ("figures", _deltas_text(patch.deltas)),
        ("parameters", _figures_text(_shown(patch.parameters))),
        ("seed", patch.seed),
        ("after patch", patch.parent_id),
        ("cycle", patch.cycle_id),
        ("made on commit", patch.base_commit),
        ("came by commit", patch.commit),
        ("went by commit", patch.revert_commit),
        ("approved by", patch.approved_by),
        ("CPU-seconds", round(patch.cpu_seconds, 2)),
    ]


def _minute(at: float) -> str:
    return when(at).replace("T", " ")[:16]


def _deltas_text(deltas: Mapping[str, float]) -> str:
    """Write relative changes: ``seconds −48 %``."""
    told = [f"{name.replace('_', ' ')} {delta * 100:+.3g} %" for name, delta in deltas.items()]
    return ", ".join(told).replace("-", "−")


def _gates_text(gates: Sequence[GateReport]) -> str:
    """Say shortly how far it came."""
    if not gates:
        return ""
    if gates[-1].passed is False:
        return f"refused by {gates[-1].name}"
    return f"{sum(gate.passed is True for gate in gates)} passed"


def _figures_text(figures: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_figure(value)}" for name, value in figures.items())


def _figure(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_figure, value)) + "]"
    if isinstance(value, dict):
        return "{" + _figures_text(value) + "}"
    return text(value)


def _reverted_text(patch: Patch, result: PatchResult) -> str:
    told = f"patch {patch.patch_id} is {result.status}: {patch.target}"
    if patch.revert_commit is None:
        return f"{told} was without it already"
    return f"{told} is as it was, by commit {patch.revert_commit[:12]}"


def _shown(parameters: Json) -> Json:
    """Leave out what is of no use on a screen: a waiting patch's whole text, and a digest."""
    return {name: value for name, value in parameters.items() if name not in _UNSHOWN}
