"""The faults that the lab plants: which check sees each, and that its healthy twin passes it."""

import pytest

import steadytrain as st
from steadytrain.lab.zoo.case import Case
from steadytrain.lab.zoo.planting import known_faults

SEEN_BY = {
    "adam-eps-of-one": "epsilon-against-gradient",
    "backward-and-no-step": "optimizer-never-steps",
    "batch-first-forgotten": "recurrent-over-batch",
    "batch-norm-over-two": "batchnorm-samples",
    "batches-by-class": "ordered-labels",
    "betas-swapped": "extreme-momentum",
    "body-frozen-by-mistake": "frozen-parameters",
    "cleared-before-the-step": "optimizer-never-steps",
    "cleared-within-the-window": "gradients-thrown-away",
    "clip-by-value-to-nothing": "clip-far-below-gradient",
    "clip-to-a-trifle": "clip-far-below-gradient",
    "cosine-rises-again": "schedule-over-the-run",
    "decay-drowns-the-loss": "excessive-weight-decay",
    "decay-every-batch": "schedule-over-the-run",
    "decay-on-gains": "excessive-weight-decay",
    "decay-on-rare-rows": "excessive-weight-decay",
    "decoder-forgotten": "parameters-not-in-optimizer",
    "detached-in-the-middle": "detached-parameters",
    "discriminator-never-stepped": "optimizer-never-steps",
    "div-by-zero": "nonfinite-later",
    "dropout-in-the-bottleneck": "crowding-dropout",
    "eval-from-the-start": "training-in-evaluation-mode",
    "exp-overflow": "nonfinite-later",
    "fp16-overflow": "nonfinite-later",
    "fp16-underflow": "half-precision-underflow",
    "fully-masked-row": "empty-mask-rows",
    "head-after-the-optimizer": "parameters-not-in-optimizer",
    "head-at-another-rate": "uneven-rates",
    "head-untied-late": "broken-weight-tying",
    "growing-memory": "recurrent-radius",
    "hidden-state-not-detached": "graph-retained",
    "label-among-the-features": "target-leak",
    "raw-pixels": "feature-scale",
    "transcripts-too-long": "unreachable-ctc-targets",
    "validation-scaled-otherwise": "validation-statistics",
    "keep-for-drop": "crowding-dropout",
    "layer-replaced-later": "stale-optimizer-parameters",
    "layers-in-a-list": "parameters-not-registered",
    "log-of-zero": "nonfinite-later",
    "losses-kept-with-graphs": "graph-retained",
    "microbatches-summed": "accumulation-not-divided",
    "missing-zero-grad": "gradients-not-cleared",
    "momentum-of-a-thousand-steps": "extreme-momentum",
    "optimizer-of-a-copy": "stale-optimizer-parameters",
    "rate-hundredfold": "rate-far-off",
    "rate-of-fine-tuning": "rate-far-off",
    "rate-raised-on-resuming": "schedule-over-the-run",
    "reward-scale": "target-scale",
    "second-moment-of-the-start": "extreme-momentum",
    "shrinking-memory": "recurrent-radius",
    "sgd-decay-of-adamw": "excessive-weight-decay",
    "sharp-attention": "sharp-attention",
    "softmax-over-the-batch": "softmax-over-batch",
    "statistics-of-noise": "batchnorm-running-statistics",
    "statistics-that-stand": "batchnorm-running-statistics",
    "step-on-a-count-never-reached": "optimizer-never-steps",
    "ten-steps-too-far": "schedule-over-the-run",
    "unscale-order": "clip-far-below-gradient",
    "untied-clone": "broken-weight-tying",
    "validation-in-training-mode": "training-mode-in-evaluation",
    "warmup-every-epoch": "schedule-over-the-run",
    "warmup-in-samples": "schedule-over-the-run",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SEEN_BY))
def test_the_fault_is_seen_and_its_twin_is_not(name):
    fault = known_faults()[name]
    case = Case(architecture=fault.on[0], seed=11)
    faulty, healthy = (
        st.preflight(program, select=[SEEN_BY[name]], progress=False).answers[0]
        for program in (fault.program(case), fault.twin(case))
    )
    assert faulty.verdict == "failed", faulty.seen
    assert {fault.cause, *fault.also} & {c for one in faulty.findings for c in one.causes[:2]}
    assert healthy.verdict != "failed", healthy.seen
