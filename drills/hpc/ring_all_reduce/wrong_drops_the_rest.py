"""Makes chunks of size // world numbers: those at the end are in none of them, and are never added."""
FAILS = {"test_the_sum_on_every_rank": "2 ranks, shape .3,.: 1 of 3 numbers are wrong", "test_all_ranks_have_the_same_bits": "wrong sum"}


def all_reduce(rank, world, data, send, receive):
    flat = data.flatten()
    size = len(flat) // world
    chunks = [flat[i * size:(i + 1) * size] for i in range(world)]
    for step in range(world - 1):
        send(chunks[(rank - step) % world])
        chunks[(rank - step - 1) % world] += receive()
    for step in range(world - 1):
        send(chunks[(rank + 1 - step) % world])
        chunks[(rank - step) % world][:] = receive()
    return flat.reshape(data.shape)
