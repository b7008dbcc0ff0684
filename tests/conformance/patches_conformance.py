"""What every store must do with patches to helper code.

A part of :class:`conformance.store_conformance.StoreConformance`, which gives ``store`` (with the
bots alpha and beta) and ``reopen``.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from menace.errors import PatchStateError, StoreError, UnknownBotError
from menace.patches import Claim, GateReport, Patch, PatchStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from menace.interfaces import Store

DIFF = "--- a/helpers/días.py\n+++ b/helpers/días.py\n@@ -1 +1 @@\n-N = 1\n+N = 2\n"


def patch(**changes: Any) -> Patch:
    values: dict[str, Any] = {
        "bot": "alpha",
        "target": "helpers/días.py",
        "proposer": "tuning",
        "operator": "literal",
        "claim": Claim.SPEEDS,
        "status": PatchStatus.PROPOSED,
        "at": 100.0,
    }
    return Patch(**values | changes)


def applied(store: Store, **changes: Any) -> Patch:
    added = store.add_patch(patch(status=PatchStatus.APPLYING, commit="c1", **changes))
    return move(store, added, PatchStatus.CANARY)


def move(store: Store, moved: Patch, status: PatchStatus, **changes: Any) -> Patch:
    return store.move_patch(
        moved.patch_id or 0, expected=moved.status, status=status, at=200.0, **changes
    )


def targets(patches: list[Patch]) -> list[str]:
    return [item.target for item in patches]


class PatchesConformance:
    """Behaviour that no backend may lack."""

    def test_every_field_of_a_patch_is_read_back_by_another_process(
        self, store: Store, reopen: Callable[[], Store]
    ) -> None:
        cycle = store.open_cycle(
            "alpha", energy=3, row=10, at=50.0, decision_id=None, details={}
        ).cycle_id
        parent = store.add_patch(patch(status=PatchStatus.KEPT))
        full = patch(
            claim=Claim.IMPROVES,
            status=PatchStatus.WAITING,
            explanation="Reads the calendar – once.",
            diff=DIFF,
            parameters={"value": [1, 2.5, None, "ü"], "nested": {"line": 3}},
            seed=2**62,
            cycle_id=cycle,
            parent_id=parent.patch_id,
            base_commit="a" * 40,
            commit="b" * 40,
            revert_commit="c" * 40,
            gates=(
                GateReport("parses", True, "it parses.", {"lines": 3}, 0.25),
                GateReport("hidden tests", None, "there are none."),
                GateReport("speed", False, "slower.", {"ratio": 0.9}, 2.0),
            ),
            deltas={"seconds": -0.5, "loss": 0.0},
            cpu_seconds=1.5,
            approved_by="Ana",
            decided_at=120.0,
        )

        added = store.add_patch(full)

        assert added == replace(full, patch_id=added.patch_id)
        assert (added.patch_id or 0) > (parent.patch_id or 0)
        assert reopen().patch(added.patch_id or 0) == added

    def test_a_bare_patch_is_read_back_with_its_defaults(self, store: Store) -> None:
        added = store.add_patch(patch())

        assert store.patch(added.patch_id or 0) == replace(patch(), patch_id=added.patch_id)

    def test_a_patch_moves_with_what_was_found_out(self, store: Store) -> None:
        added = store.add_patch(patch(status=PatchStatus.WAITING))
        gates = (GateReport("tests", True, "all pass.", {"runs": 3}, 1.0),)

        applying = move(
            store,
            added,
            PatchStatus.APPLYING,
            base_commit="a1",
            commit="b2",
            gates=gates,
            deltas={"seconds": -0.25},
            cpu_seconds=2.0,
            approved_by="Ana",
        )

        assert applying == replace(
            added,
            status=PatchStatus.APPLYING,
            base_commit="a1",
            commit="b2",
            gates=gates,
            deltas={"seconds": -0.25},
            cpu_seconds=2.0,
            approved_by="Ana",
        )
        assert store.patch(added.patch_id or 0) == applying

    def test_what_decides_about_a_patch_says_when(self, store: Store) -> None:
        kept = move(store, applied(store), PatchStatus.KEPT)
        assert kept.decided_at == 200.0
        reverting = move(store, kept, PatchStatus.REVERTING)
        assert reverting.decided_at == 200.0
        reverted = move(
            store, reverting, PatchStatus.REVERTED, revert_commit="d4", decided_at=300.0
        )
        assert (reverted.decided_at, reverted.revert_commit) == (300.0, "d4")

    def test_a_patch_in_another_state_is_not_moved(self, store: Store) -> None:
        added = applied(store)

        with pytest.raises(PatchStateError, match="is canary, not waiting"):
            store.move_patch(
                added.patch_id or 0,
                expected=PatchStatus.WAITING,
                status=PatchStatus.KEPT,
                at=1.0,
            )
        assert store.patch(added.patch_id or 0) == added
        assert len(store.pending_events()) == 2

    def test_of_two_that_move_a_patch_at_once_one_does(
        self, store: Store, reopen: Callable[[], Store]
    ) -> None:
        added = applied(store)

        def attempt(own: Store) -> str:
            try:
                return move(own, added, PatchStatus.REVERTING).status
            except PatchStateError:
                return "refused"

        with ThreadPoolExecutor(2) as pool:
            came = sorted(pool.map(attempt, (store, reopen())))
        assert came == ["refused", "reverting"]

    def test_a_patch_that_does_not_exist_is_refused(self, store: Store) -> None:
        with pytest.raises(PatchStateError, match="there is no patch 7"):
            store.patch(7)
        with pytest.raises(PatchStateError, match="there is no patch 7"):
            store.move_patch(7, expected=PatchStatus.WAITING, status=PatchStatus.APPLYING, at=1.0)

    def test_what_was_proposed_cannot_be_changed_afterwards(self, store: Store) -> None:
        added = store.add_patch(patch(status=PatchStatus.WAITING))

        for changes in ({"diff": ""}, {"seed": 1}, {"nonsense": 1}, {"bot": "beta"}):
            with pytest.raises(StoreError, match="no field"):
                move(store, added, PatchStatus.APPLYING, **changes)
        assert store.patch(added.patch_id or 0) == added

    def test_the_newest_patches_are_read_oldest_first_of_one_bot_or_all(self, store: Store) -> None:
        for number in range(4):
            store.add_patch(patch(target=f"{number}.py", bot="beta" if number == 2 else "alpha"))

        assert targets(store.patches("alpha", last=2)) == ["1.py", "3.py"]
        assert targets(store.patches("beta", last=9)) == ["2.py"]
        assert targets(store.patches(last=3)) == ["1.py", "2.py", "3.py"]

    def test_patches_are_read_by_their_state(self, store: Store) -> None:
        kept = move(store, applied(store, target="kept.py"), PatchStatus.KEPT)
        canary = applied(store, target="canary.py")
        store.add_patch(patch(status=PatchStatus.REJECTED, target="rejected.py"))

        assert store.patches("alpha", last=9, statuses=[PatchStatus.KEPT]) == [kept]
        in_the_code = (PatchStatus.CANARY, PatchStatus.KEPT)
        assert store.patches(last=9, statuses=in_the_code) == [kept, canary]
        assert store.patches(last=1, statuses=in_the_code) == [canary]
        assert store.patches("alpha", last=9, statuses=[]) == []
        assert len(store.patches("alpha", last=9, statuses=tuple(PatchStatus))) == 3

    def test_lineage_leads_from_a_patch_to_what_was_there_before(self, store: Store) -> None:
        first = applied(store)
        second = applied(store, parent_id=first.patch_id)
        third = store.add_patch(patch(status=PatchStatus.REJECTED, parent_id=second.patch_id))

        line = [third]
        while line[-1].parent_id is not None:
            line.append(store.patch(line[-1].parent_id))
        assert [item.patch_id for item in line] == [
            third.patch_id,
            second.patch_id,
            first.patch_id,
        ]
        with pytest.raises(StoreError):
            store.add_patch(patch(parent_id=99))

    def test_every_state_has_its_event(self, store: Store) -> None:
        gates = (GateReport("parses", True, "it does."), GateReport("tests", False, "two fail."))
        rejected = store.add_patch(patch(status=PatchStatus.REJECTED, gates=gates))
        kept = move(store, applied(store), PatchStatus.KEPT, approved_by="Ana")

        events = store.pending_events()
        assert [(event.topic, event.bot, event.at) for event in events] == [
            ("patch.rejected", "alpha", 100.0),
            ("patch.applying", "alpha", 100.0),
            ("patch.canary", "alpha", 200.0),
            ("patch.kept", "alpha", 200.0),
        ]
        told = {"target": "helpers/días.py", "proposer": "tuning", "claim": "speeds"}
        assert events[0].payload == {
            **told,
            "patch_id": rejected.patch_id,
            "gate": "tests",
            "reason": "two fail.",
        }
        assert events[3].payload == {
            **told,
            "patch_id": kept.patch_id,
            "commit": "c1",
            "approved_by": "Ana",
        }

    def test_old_rejects_are_forgotten_and_what_was_in_the_code_never(self, store: Store) -> None:
        store.add_patch(patch(bot="beta", status=PatchStatus.REJECTED))
        kept = move(store, applied(store, target="kept.py"), PatchStatus.KEPT)
        parent = store.add_patch(patch(status=PatchStatus.REJECTED, target="parent.py"))
        child = applied(store, target="child.py", parent_id=parent.patch_id)
        reverted = move(
            store, move(store, applied(store), PatchStatus.REVERTING), PatchStatus.REVERTED
        )
        waiting = store.add_patch(patch(status=PatchStatus.WAITING))
        for number in range(1010):
            status = PatchStatus.PROPOSED if number % 2 else PatchStatus.REJECTED
            store.add_patch(patch(status=status, target=f"{number}.py"))

        assert store.patches("alpha", last=9999)[:5] == [kept, parent, child, reverted, waiting]
        assert targets(store.patches("alpha", last=9999)[5:]) == [
            f"{number}.py" for number in range(10, 1010)
        ]
        assert len(store.patches("beta", last=9)) == 1

    def test_patches_need_a_bot_and_finite_numbers(self, store: Store) -> None:
        with pytest.raises(UnknownBotError):
            store.add_patch(patch(bot="gamma"))
        with pytest.raises(UnknownBotError):
            store.patches("gamma", last=1)
        with pytest.raises(UnknownBotError):
            store.patches("gamma", last=1, statuses=[])
        nan = float("nan")
        wrong = (
            {"at": nan},
            {"cpu_seconds": float("inf")},
            {"decided_at": nan},
            {"deltas": {"loss": nan}},
            {"parameters": {"value": nan}},
            {"gates": (GateReport("speed", True, "fast.", {"ratio": nan}),)},
            {"gates": (GateReport("speed", True, "fast.", seconds=nan),)},
        )
        for changes in wrong:
            with pytest.raises(StoreError, match="a patch's"):
                store.add_patch(patch(**changes))
        added = store.add_patch(patch(status=PatchStatus.WAITING))
        with pytest.raises(StoreError, match="a patch's deltas"):
            move(store, added, PatchStatus.APPLYING, deltas={"loss": nan})
        with pytest.raises(StoreError, match="a patch's decided_at"):
            store.move_patch(
                added.patch_id or 0,
                expected=PatchStatus.WAITING,
                status=PatchStatus.REJECTED,
                at=nan,
            )
        assert store.patches("alpha", last=9) == [added]
        assert [event.topic for event in store.pending_events()] == ["patch.waiting"]
