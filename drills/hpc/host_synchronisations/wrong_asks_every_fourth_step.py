"""Fetches the tokens of four steps together: fewer waits, late tokens, and up to three steps in vain."""
FAILS = {"test_at_most_one_step_is_in_vain": "steps are needed, the GPU made", "test_the_tokens_do_not_come_late": "somebody is waiting",
         "test_the_gpu_is_never_idle": "had nothing to do"}


def decode(gpu, tokens, positions, eos, max_steps, emit):
    tokens, positions, finished = gpu.upload(tokens), gpu.upload(positions), gpu.upload([False] * len(tokens))
    copies = []
    for step in range(1, max_steps + 1):
        tokens = gpu.choose(finished, eos, gpu.forward(tokens, positions))
        finished, positions = gpu.equal(tokens, eos), gpu.add(positions, 1)
        copies.append(gpu.copy_to_host(tokens))
        if step % 4 == 0 or step == max_steps:
            for ids in [copy.wait() for copy in copies]:
                emit(ids)
                if all(token == eos for token in ids):
                    return
            copies = []
