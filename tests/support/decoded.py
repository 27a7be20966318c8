"""Checkpoints with the weights that a quantised package stands for."""
import numpy as np

from .mnn_package import address_of_tensor
from .tool import make_fixture


def decoded_checkpoint(name, linears, out):
    """A float32, untied checkpoint of the fixture `name` with the weights of `linears` ({address: mnn_package.Linear}); the
    rest is the fixture's own, the table rounded to bf16 as packages hold it."""
    fixture = make_fixture.Fixture(name)
    tensors = []
    for stored, (role, values) in fixture.source().items():
        address = address_of_tensor(stored, role)
        if role == "embed_tokens":
            values = make_fixture.round_to(values, "bf16")
        decoded = linears[address].weight if address in linears else values
        tensors.append((stored, np.asarray(decoded, np.float32)))
    if fixture.tied:
        tensors.append(("lm_head.weight", linears["lm_head"].weight.astype(np.float32)))
    make_fixture.make_float({**fixture.config, "tie_word_embeddings": False}, out, tensors)
    return out
