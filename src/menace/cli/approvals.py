"""``menace approvals``: questions to a person, before an engine is made or code is patched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyclopts import App

from menace.cli.app import app
from menace.cli.output import Column, Output, line, table, when
from menace.errors import ApprovalError
from menace.records import ApprovalState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from menace.records import Approval
    from menace.workspace import Workspace

approvals_app = App(name="approvals", help="Grant or refuse engines and patches that wait.")
app.command(approvals_app)

_COLUMNS = (
    Column("number"),
    Column("asked (UTC)", 1),
    Column("what"),
    Column("engines", 2),
    Column("for", 3),
    Column("state"),
)
_OPEN = (ApprovalState.PENDING, ApprovalState.GRANTED)


@approvals_app.default
@approvals_app.command(name="list")
def list_approvals(*, last: int = 20, output: Output = Output()) -> None:
    """List the questions and their answers, the newest last.

    Parameters
    ----------
    last
        So many of the newest.
    """
    from menace.workspace import Workspace

    if last < 1:
        raise ApprovalError(f"--last is {last}.", remedy="give 1 or more")
    with Workspace.find() as workspace:
        found = workspace.store.approvals(last=last)

    def people(out: Console) -> None:
        if not found:
            line(out, "nobody has asked for anything")
            return
        table(out, _COLUMNS, [_cells(approval) for approval in found])
        for approval in found:
            if approval.state is ApprovalState.PENDING:
                number = approval.approval_id
                line(out, f"menace approvals grant {number}", style="dim")

    output.show(found, people=people)


@approvals_app.command
def grant(number: int | None = None, /, *, output: Output = Output()) -> None:
    """Let it happen: one engine, as soon as capital and trend still allow it; or one patch.

    Parameters
    ----------
    number
        Of the question; by default the only one that waits.
    """
    _answer(number, ApprovalState.GRANTED, output)


@approvals_app.command
def refuse(number: int | None = None, /, *, output: Output = Output()) -> None:
    """Let it not happen; about engines nobody is asked again for a day. Takes back a grant, too.

    Parameters
    ----------
    number
        Of the question; by default the only one that waits.
    """
    _answer(number, ApprovalState.REFUSED, output)


def _answer(number: int | None, state: ApprovalState, output: Output) -> None:
    from menace.workspace import Workspace

    with Workspace.find() as workspace:
        question = _question(workspace, number, state)
        answered = workspace.store.move_approval(
            question.approval_id,
            expected=question.state,
            state=state,
            at=workspace.services.clock.now(),
        )
    told = f"{answered.subject} {answered.approval_id} is {answered.state}"
    output.show(answered, people=lambda out: line(out, told))


def _question(workspace: Workspace, number: int | None, state: ApprovalState) -> Approval:
    """Find the question that is meant, in a state from which it can be answered.

    Raises
    ------
    ApprovalError
        If there is none, more than one, or it has been answered.
    """
    found: Sequence[Approval] = workspace.store.approvals(last=1000)
    may = (ApprovalState.PENDING,) if state is ApprovalState.GRANTED else _OPEN
    open_ones = [approval for approval in found if approval.state in may]
    if number is None:
        if len(open_ones) == 1:
            return open_ones[0]
        numbers = ", ".join(str(approval.approval_id) for approval in open_ones) or "none"
        raise ApprovalError(
            f"{len(open_ones)} questions wait for an answer: {numbers}.",
            remedy="menace approvals lists them; name one by its number",
        )
    for approval in found:
        if approval.approval_id == number:
            if approval.state not in may:
                raise ApprovalError(
                    f"question {number} is {approval.state} already.",
                    remedy="menace approvals lists those that are pending",
                )
            return approval
    raise ApprovalError(f"there is no question {number}.", remedy="menace approvals lists them")


def _cells(approval: Approval) -> tuple[object, ...]:
    return (
        approval.approval_id,
        when(approval.asked_at).replace("T", " ").rstrip("Z"),
        approval.subject,
        approval.inputs.get("engines"),
        approval.inputs.get("next", approval.inputs.get("target")),
        str(approval.state),
    )
