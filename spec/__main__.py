"""python -m spec explain NAME: our source and vLLM's for one concept, and the claims about it."""
import signal
import sys

from spec.explain import main

if __name__ == "__main__":
    if sys.argv[1:2] != ["explain"]:
        sys.exit("python -m spec explain NAME: NAME is a concept (preemption), a claim (test_…), or a name in the code (Scheduler.schedule)")
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)   # whoever reads it in a pager may stop reading
    sys.exit(main(sys.argv[2:]))
