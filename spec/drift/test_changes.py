"""The source behind a change, by two small made-up releases."""
from spec.bench import workload
from spec.bench.claim import Claim
from spec.drift.changes import LIMITS, LONG, MOST_LINES, Sides, change

FILE = "v1/core/sched/scheduler.py"
OLD = """class Scheduler:
    def schedule(self):
        budget = self.budget
        self.begin()
        # the old way
        self.go_on()
        if self.threshold:
            tokens = self.threshold
        return budget

    def abort(self):
        return 1
"""
NEW = """class Scheduler:
    def schedule(self):
        budget = int(self.budget)
        self.begin()
        # a better way
        self.go_on()
        if self.threshold and self.waiting:
            tokens = self.threshold
        return budget

    def abort(self):
        return 2
"""


def holds(run):
    assert run.steps


def claim(sentence="The threshold caps a prompt.", place="Scheduler.schedule", **limits):
    return Claim(sentence, (workload(num_blocks=9, **limits),), ("admission",), f"{FILE}::{place}", holds)


def sides(folder, walk, new_walk=None, others=None, old=OLD, new=NEW):
    for name, text in (("old", old), ("new", new)):
        (folder / name / FILE).parent.mkdir(parents=True)
        (folder / name / FILE).write_text(text)
    return Sides(folder / "old", folder / "new", {"holds": {FILE: walk}, "other": {FILE: others or []}},
                 {"holds": {FILE: walk if new_walk is None else new_walk}, "other": {FILE: others or []}})


def test_a_hunk_that_the_run_passes_is_told_with_where_it_is(tmp_path):
    assert change(claim(), sides(tmp_path, [12]), []) == (
        f"@@ {FILE}:12 → 12 @@\n \n     def abort(self):\n-        return 1\n+        return 2")


def test_what_the_run_does_not_pass_is_left_out_and_so_is_a_comment(tmp_path):
    told = change(claim(), sides(tmp_path, [3, 4, 6, 9]), [])
    assert "int(self.budget)" in told and "return 2" not in told and "+        # a better way" not in told


def test_what_all_runs_pass_comes_last(tmp_path):
    told = change(claim("It does.", "Scheduler"), sides(tmp_path, [3, 7, 9, 12], others=[3, 9]), ["other"])
    assert told.index("self.waiting") < told.index("int(self.budget)") and told.index("return 2") < told.index("int(self.budget)")


def test_the_place_that_the_claim_names_comes_first(tmp_path):
    told = change(claim("It does.", "Scheduler.abort"), sides(tmp_path, [3, 7, 9, 12]), [])
    assert told.index("return 2") < told.index("int(self.budget)")


def test_the_claims_own_words_come_first(tmp_path):
    told = change(claim(), sides(tmp_path, [3, 7, 9, 12]), [])
    assert told.index("self.waiting") < told.index("int(self.budget)")


def test_a_hunk_is_passed_if_only_the_new_release_has_it(tmp_path):
    added = NEW.replace("        return budget\n", "        self.note()\n        return budget\n")
    assert change(claim(), sides(tmp_path, [], [9], old=NEW, new=added), []).endswith("+        self.note()\n         return budget\n ")


def test_where_the_run_passes_nothing_new_the_named_place_is_told(tmp_path):
    told = change(claim(place="Scheduler.abort"), sides(tmp_path, [2, 4]), [])
    assert "return 2" in told and "self.waiting" not in told


def test_a_limit_is_declared_where_nobody_walks(tmp_path):
    told = sides(tmp_path, [], new=OLD)
    for name, field in (("old", "max_num_seqs: int = 0"), ("new", "max_num_seqs: int = Field(ge=1)")):
        (tmp_path / name / "config").mkdir()
        (tmp_path / name / LIMITS).write_text(f"class SchedulerConfig:\n    {field}\n    policy: str\n")
    assert "+    max_num_seqs: int = Field(ge=1)" in change(claim(max_num_seqs=3), told, [])
    assert change(claim(), told, []) == ""


def test_releases_that_are_the_same_have_nothing_to_tell(tmp_path):
    assert change(claim(), sides(tmp_path, [3, 7], new=OLD), []) == ""


def test_a_text_is_bounded(tmp_path):
    long = OLD.replace("budget = self.budget", "budget = self.budget\n" + "\n".join(f"        self.step{number}()" for number in range(3 * MOST_LINES)))
    told = change(claim(), sides(tmp_path, list(range(3, 200)), new=long), []).splitlines()
    assert len(told) == LONG + 1 and told[-1] == "…"
    folder = tmp_path / "many"
    many = "def schedule():\n" + "\n".join("    kept()\n    kept()\n    kept()\n    kept()\n    {0}" + str(number) + "()" for number in range(40))
    told = change(claim(), sides(folder, list(range(1, 300)), old=many.replace("{0}", "old"), new=many.replace("{0}", "new")), []).splitlines()
    assert len(told) <= MOST_LINES + 1 and told[-1].endswith("more places that the run passes")
