"""The real `LLM` in a process of its own, for all the workers of a pytest run: vLLM starts once, not once per worker.

The first that asks starts it; it ends with the process whose run it is, and whose
id names the socket.

    python -m reference.vllm_server FOLDER/PID.socket
"""
import fcntl
import os
import shutil
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Client, Listener
from pathlib import Path

from reference.generate import Generation
from reference.prompts import Prompts

START_S = 180   # importing vLLM takes 8 s on a quiet machine
KEY = b"inferlab"


class VllmServerError(RuntimeError):
    """The process that holds the real LLM has failed."""


def ask_server(socket: str, prompts: Prompts) -> Generation:
    """What the real vLLM makes of `prompts`. Raises `VllmServerError`."""
    _start(socket)
    try:
        with Client(socket, authkey=KEY) as connection:
            connection.send(prompts)
            answer = connection.recv()
    except (OSError, EOFError) as error:
        log = Path(f"{socket}.log").read_text()[-2000:]
        raise VllmServerError(f"the process that holds the real LLM has died ({type(error).__name__}); its last words:\n{log}") from error
    if isinstance(answer, str):
        raise VllmServerError(answer)
    return answer


def _start(socket: str) -> None:
    """Start the server unless somebody has; returns when it listens."""
    with open(f"{socket}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(socket):
            return
        with open(f"{socket}.log", "w") as log:
            server = subprocess.Popen([sys.executable, "-m", "reference.vllm_server", socket], stdout=log, stderr=log,
                                      cwd=Path(__file__).parents[1])
        deadline = time.monotonic() + START_S
        while not os.path.exists(socket):
            if server.poll() is not None or time.monotonic() > deadline:
                raise VllmServerError(f"the real LLM did not start:\n{Path(f'{socket}.log').read_text()[-2000:]}")
            time.sleep(0.05)


def serve(socket: str) -> None:
    """Answer one question after the other until the process whose run it is has gone."""
    from reference.vllm_llm import vllm_generation
    threading.Thread(target=_end_with, args=(int(Path(socket).stem), Path(socket).parent), daemon=True).start()
    with Listener(socket, backlog=64, authkey=KEY) as listener:
        while True:
            try:
                with listener.accept() as connection:
                    connection.send(_answer(vllm_generation, connection.recv()))
            except (OSError, EOFError):     # who asked has gone away: the next, please
                continue


def _answer(generation, prompts: Prompts) -> Generation | str:
    try:
        return generation(prompts)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _end_with(pid: int, folder: Path) -> None:
    while _alive(pid):
        time.sleep(0.5)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)     # whatever the engine is doing


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    serve(sys.argv[1])
