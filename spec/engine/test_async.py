"""`AsyncLLM`: requests come and go while others run, and what each gets is what vLLM gives it alone."""
import asyncio

import pytest

from impl.sampling_params import SamplingParams
from spec.engine.side_by_side import DEVICE, LIMITS, folder, needs_vllm, theirs

pytestmark = needs_vllm
GREEDY = SamplingParams(temperature=0, max_tokens=24, ignore_eos=True)
LONG = SamplingParams(temperature=0, max_tokens=400, ignore_eos=True)


@pytest.fixture(scope="module")
def build():
    from impl.async_llm import AsyncLLM
    return lambda **more: AsyncLLM(folder("qwen3"), dtype="float32", device=DEVICE, **LIMITS, **more)


def nothing_is_left(llm):
    manager = llm.engine.scheduler.block_manager
    return (len(manager.free_blocks) == manager.pool.num_blocks - 1 and not llm.engine.scheduler.requests and not llm.queues
            and not llm.engine.output_processor.children and not llm.engine.output_processor.families)


async def settled(llm):
    while llm.turning and not llm.turning.done():
        await llm.turning


async def read(llm, prompt, params, request_id):
    outputs = [output async for output in llm.generate(prompt, params, request_id)]
    assert [output.finished for output in outputs] == [False] * (len(outputs) - 1) + [True]
    return outputs


@pytest.mark.parametrize("drafts", [None, {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_min": 1}], ids=["plain", "drafts"])
def test_requests_that_arrive_while_others_run_get_vllms_tokens(build, drafts):
    texts = ["Once upon a time", "The king said", "END.", "the the the"]

    async def scene():
        llm = build(speculative_config=drafts)

        async def late(index, text):
            await asyncio.sleep(0.01 * index)
            return (await read(llm, text, GREEDY, str(index)))[-1]

        outputs = await asyncio.gather(*(late(index, text) for index, text in enumerate(texts)))
        await settled(llm)
        assert nothing_is_left(llm)
        return outputs

    outputs, expected = asyncio.run(scene()), theirs("qwen3", texts, GREEDY)
    assert [output.outputs[0].token_ids for output in outputs] == [output.outputs[0].token_ids for output in expected]
    assert [output.outputs[0].text for output in outputs] == [output.outputs[0].text for output in expected]


@pytest.mark.parametrize("leave", ["break", "cancel", "abort"])
def test_a_reader_that_goes_away_ends_his_request_and_no_other(build, leave):
    async def scene():
        llm = build()
        started = asyncio.Event()

        async def impatient():
            stream = llm.generate("The king said", LONG, "impatient")
            async for output in stream:
                started.set()
                if leave == "break":
                    break
            await stream.aclose()
            return output

        task = asyncio.create_task(impatient())
        other = asyncio.create_task(read(llm, "Once upon a time", GREEDY, "patient"))
        await started.wait()
        if leave == "cancel":
            task.cancel()
        elif leave == "abort":
            await llm.abort("impatient")
        [last] = await asyncio.gather(task, return_exceptions=True)
        assert leave != "abort" or (last.finished and last.outputs[0].finish_reason == "abort" and last.outputs[0].token_ids)
        outputs = await other
        await settled(llm)
        assert nothing_is_left(llm)
        assert len((await read(llm, "END.", GREEDY, "impatient"))[-1].outputs[0].token_ids) == 24, "the id is free again"
        return outputs[-1].outputs[0].token_ids

    assert asyncio.run(scene()) == theirs("qwen3", ["Once upon a time"], GREEDY)[0].outputs[0].token_ids


def test_an_abort_of_somebody_who_has_just_gone_away_is_none(build):
    async def scene():
        llm = build()
        stream = llm.generate("The king said", LONG, "a")
        await anext(stream)
        await stream.aclose()       # the engine still has it, and nobody reads
        await llm.abort("a")
        await settled(llm)
        assert nothing_is_left(llm)

    asyncio.run(scene())


def test_a_refused_request_harms_nobody(build):
    from impl.errors import DuplicateRequestError, EmptyPromptError
    from impl.input_processor import UnknownTokenError

    async def scene():
        llm = build()
        first = llm.generate("Once upon a time", GREEDY, "a")
        await anext(first)
        for prompt, request_id, error in (([5000], "b", UnknownTokenError), ([], "c", EmptyPromptError), ("again", "a", DuplicateRequestError)):
            with pytest.raises(error):
                await anext(llm.generate(prompt, GREEDY, request_id))
        rest = [output async for output in first]
        await settled(llm)
        assert nothing_is_left(llm)
        return rest[-1].outputs[0].token_ids

    assert asyncio.run(scene()) == theirs("qwen3", ["Once upon a time"], GREEDY)[0].outputs[0].token_ids


def test_an_error_of_the_engine_reaches_every_reader(build):
    async def scene():
        llm = build()

        def broken():
            raise RuntimeError("the device is gone")

        llm.engine.step = broken
        readers = [asyncio.create_task(read(llm, "a", GREEDY, str(index))) for index in range(3)]
        return await asyncio.gather(*readers, return_exceptions=True)

    assert [str(error) for error in asyncio.run(scene())] == ["the device is gone"] * 3
