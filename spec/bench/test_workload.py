"""A workload is a value: it comes back from its source, from JSON, and smaller when shrunk."""
import json
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from impl import SchedulerConfig
from impl.errors import InvalidConfigError
from reference.workload import EOS, Workload, text, workload
from spec.bench.shrink import shrink
from spec.fuzz.generator import random_workload

random_workloads = st.builds(random_workload, st.randoms(use_true_random=False), st.booleans())


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(random_workloads)
def test_the_source_makes_the_same_workload(made):
    again = eval(made.source(), {"workload": workload})
    assert again == made and again.key == made.key


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(random_workloads)
def test_json_and_back(made):
    assert Workload.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_another_workload_has_another_key():
    one = workload(num_blocks=9).request("a", prompt=12)
    others = [one.with_config(watermark=0.1), one.abort("a", at=3), one.request("b", prompt=1),
              workload(num_blocks=9).request("a", prompt=12, says={2: EOS}), workload(num_blocks=9, engine=True).request("a", prompt=12)]
    assert len({made.key for made in [one, *others]}) == 6


def test_a_label_names_a_text():
    made = workload(num_blocks=9).request("a", prompt="system:3 a:2").request("b", prompt="system:4").request("c", prompt="a.out:2")
    a, b, c = (spec.prompt_token_ids() for spec in made.requests)
    assert a == [*text("system", 3), *text("a", 2)] and b[:3] == a[:3]
    assert c == [made.requests[0].output_token("a", number) for number in (1, 2)]


def test_a_prompt_that_cannot_be_read_is_refused():
    with pytest.raises(ValueError, match="LABEL:COUNT"):
        workload(num_blocks=9).request("a", prompt="hello world")


def test_an_unknown_limit_is_refused():
    with pytest.raises(TypeError, match="unknown limit num_block; there are: num_blocks"):
        workload(num_blocks=9, num_block=9)


def test_an_impossible_limit_is_kept_for_the_engines_to_refuse():
    made = workload(num_blocks=9, watermark=2.0)
    with pytest.raises(InvalidConfigError, match="watermark"):
        SchedulerConfig(**made.config)


def test_shrinking_finds_the_two_that_matter():
    made = workload(num_blocks=30, watermark=0.1, policy="priority").abort("r3", at=5)
    for number in range(9):
        made = made.request(f"r{number}", prompt=f"shared:{6 + number} own{number}:9", arrives=4 + number, priority=number, max_tokens=20)

    def shows(candidate):   # two requests whose shared part has at least 8 tokens
        return sum(int(spec.prompt.split()[0].removeprefix("shared:")) >= 8
                   for spec in candidate.requests if spec.prompt.startswith("shared")) >= 2

    small = shrink(made, shows)
    assert shows(small)
    assert small.source() == ("(workload(num_blocks=30)\n .request('r7', prompt='shared:8', max_tokens=1)\n"
                              " .request('r8', prompt='shared:8', max_tokens=1))")


def test_shrinking_asks_no_more_than_it_may():
    made, asked = random_workload(Random(1)), []
    shrink(made, lambda candidate: bool(asked.append(candidate)), attempts=25)
    assert len(asked) == 25
