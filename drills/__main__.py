"""`python -m drills`: the gym's door."""
import argparse
import difflib
import signal
import sys
import time

from drills import gym, stubs
from drills.drill import DRILLS, TRACKS, Drill, UnknownDrillError, all_drills, find, mine
from drills.gym import place

MEDALS = (("gold", 0.8), ("silver", 0.5), ("bronze", 0.2))     # from which share of the machine's ceiling on
GREEN, RED, SOFT = "\x1b[32m", "\x1b[31m", "\x1b[2m"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m drills", description="Exercises, each with a judge. Your answers are in drills/mine.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, help in (("list", "all drills, and what you have passed"), ("next", "the next drill: its problem, and a stub to fill in"),
                       ("stubs", "make all stubs anew from the solutions (for who writes drills)")):
        commands.add_parser(name, help=help)
    for name, help in (("start", "the problem of a drill, and a stub to fill in"), ("check", "judge your answer"),
                       ("watch", "judge your answer each time you save it"), ("hint", "one hint more"),
                       ("reset", "begin anew; what you have is kept in drills/mine/kept"), ("diff", "yours beside the solution, once you have passed"),
                       ("badge", "how fast your answer is, once it is right")):
        command = commands.add_parser(name, help=help)
        command.add_argument("name", metavar="NAME", nargs="?", help="of a drill; without it, the next one")
        if name == "check":
            command.add_argument("--again", action="store_true", help="even if this very content has been judged")
    chosen = parser.parse_args(argv)
    if chosen.command in ("list", "stubs"):
        return {"list": show_list, "stubs": write_stubs}[chosen.command]()
    try:
        drill = find(chosen.name) if getattr(chosen, "name", None) else gym.next_drill()
    except UnknownDrillError as error:
        print(error, file=sys.stderr)
        return 2
    if drill is None:
        print("You have passed every drill. drills/ROADMAP.md says where to go from here.")
        return 0
    commands = {"next": show, "start": show, "check": lambda drill: check(drill, chosen.again), "watch": watch, "hint": hint, "reset": reset,
                "diff": diff, "badge": badge}
    try:
        return commands[chosen.command](drill)
    except gym.NotJudgedError as error:
        print(f"{drill.name} cannot be judged here: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def show_list() -> int:
    done, badges = gym.passed(), gym.badges()
    for track in TRACKS:
        drills = [drill for drill in all_drills() if drill.track == track]
        if drills:
            print(f"{track}: {sum(drill.name in done for drill in drills)} of {len(drills)}")
        for drill in drills:
            medal_won = f"  ({medal(badges[drill.name])})" if drill.name in badges else ""
            mark = "x" if drill.name in done else "." if drill.mine.exists() else " "
            print(coloured(f"  [{mark}] {drill.name:<28} {drill.title}{medal_won}", GREEN if mark == "x" else ""))
    print("\n[x] passed  [.] begun.  python -m drills next: the next one")
    return 0


def show(drill: Drill) -> int:
    print(drill.problem.read_text())
    begun = gym.start(drill)
    print(f"---\n{'A stub is' if begun else 'Your answer is'} in {place(drill)}. Then: python -m drills check {drill.name} (or watch; or hint)")
    return 0


def check(drill: Drill, again: bool = False) -> int:
    known = None if again else gym.judged(drill)
    screen = Screen()
    print(drill.name)
    try:
        judgement = gym.check(drill, again, screen.tell, screen.doing)
    finally:
        screen.doing("")
    print()
    if known:
        print(f"(judged on {known.date.replace('T', ' ')}, and nothing has changed since; --again judges all the same)")
    if judgement.passed:
        print(coloured(f"{drill.name}: passed. python -m drills diff {drill.name} shows the solution beside yours.", GREEN))
    else:
        print(f"{drill.name}: not yet. Your answer is in {place(drill)}; python -m drills hint {drill.name} gives a hint.")
    return 0 if judgement.passed else 1


def watch(drill: Drill, poll: float = 0.3, rounds: int | None = None) -> int:
    """`rounds`: after how many judgements to stop; None: when interrupted."""
    gym.start(drill)
    print(f"Watching {place(drill)}: save it to have it judged, Ctrl-C ends.\n")
    seen = None
    try:
        while rounds is None or rounds > 0:
            content = gym.content_of(drill)
            if content is not None and content != seen:     # None: an editor is in the middle of saving
                seen = content
                check(drill)
                print()
                rounds = rounds and rounds - 1
            else:
                time.sleep(poll)
    except KeyboardInterrupt:
        pass
    return 0


def hint(drill: Drill) -> int:
    """One more than last time; how many were read stands in drills/mine/hints."""
    read = mine() / "hints" / drill.name
    try:
        number = int(read.read_text()) + 1
    except (FileNotFoundError, ValueError):
        number = 1
    text = drill.hint(number)
    if text is None:
        print(f"There are no more hints for {drill.name}: all of them are in {drill.hints.relative_to(DRILLS.parent)}.")
        return 1
    read.parent.mkdir(parents=True, exist_ok=True)
    read.write_text(str(number))
    print(f"Hint {number}\n\n{text}")
    return 0


def reset(drill: Drill) -> int:
    kept = gym.reset(drill)
    print(f"{place(drill)} is the stub again." + (f" What you had is in {kept}." if kept else ""))
    return 0


def diff(drill: Drill) -> int:
    solution = drill.solution.relative_to(DRILLS.parent)
    if drill.name not in gym.passed():
        print(f"Pass {drill.name} first: python -m drills check {drill.name}. (The solution is in {solution}, if you must.)")
        return 1
    if not drill.mine.exists():
        print(f"There is no {place(drill)} any more. The solution is in {solution}.")
        return 1
    lines = list(difflib.unified_diff(drill.mine.read_text().splitlines(), drill.solution.read_text().splitlines(),
                                      place(drill), str(solution), lineterm="", n=1000))
    for line in lines or [f"{place(drill)} is the solution, letter by letter"]:
        print(coloured(line, GREEN if line.startswith("+") else RED if line.startswith("-") else ""))
    return 0


def badge(drill: Drill) -> int:
    """Speed, once the answer is right."""
    if not gym.check(drill).passed:
        print(f"{drill.name}: first it has to be right: python -m drills check {drill.name}")
        return 1
    try:
        share = gym.measure(drill)
    except RuntimeError as error:   # what the badge's own file raises where it cannot be measured
        print(f"{drill.name}: the badge {error}")
        return 1
    if share is None:
        print(f"{drill.name} has no badge: speed is not what it is about.")
        return 0
    print(f"{drill.name}: {share:.0%} of what this machine can do: {medal(share)}")
    return 0


def medal(share: float) -> str:
    return next((name for name, bar in MEDALS if share >= bar), "no badge yet")


def write_stubs() -> int:
    changed = stubs.write_all()
    print(f"{len(changed)} stubs changed: {', '.join(changed)}" if changed else "every stub is what its solution makes it")
    return 0


class Screen:
    """Where a judgement appears, line by line; on a terminal, below it what is going on."""

    def __init__(self):
        self.live, self.shown = sys.stdout.isatty(), False

    def tell(self, line: str) -> None:
        self.doing("")
        mark = line.strip()[:1]
        print(coloured(line, GREEN if mark == "✓" else RED if mark == "✗" else ""), flush=True)

    def doing(self, what: str) -> None:
        """Overwritten by whatever comes next; "": nothing."""
        if self.live and (what or self.shown):
            print(f"\r\x1b[K{SOFT}  … {what}\x1b[0m" if what else "\r\x1b[K", end="", flush=True)
            self.shown = bool(what)


def coloured(text: str, colour: str) -> str:
    return f"{colour}{text}\x1b[0m" if colour and sys.stdout.isatty() else text


if __name__ == "__main__":
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)   # python -m drills list | head
    sys.exit(main())
