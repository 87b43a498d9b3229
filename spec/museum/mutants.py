"""The exhibits that a sentence notices."""
from spec.museum.kv_cache_mutants import KV_CACHE_MUTANTS
from spec.museum.scheduler_mutants import SCHEDULER_MUTANTS

MUTANTS = [*KV_CACHE_MUTANTS, *SCHEDULER_MUTANTS]
