"""Golden against onnxruntime."""
from parity.compare import PREFILL, load_golden, relative_rms
from support.onnx_decoder import OnnxDecoder

# Columns of padding in the second row of the batch: more than a window, less than the prefill.
PADDING = 9


def measure_onnx(fixture, directory, batch):
    """{what: relative RMS}: prefill and decode alone, and with `batch` both rows of a batch, the second one left-padded."""
    golden = load_golden(fixture, fixture.golden)
    ids, want = golden["ids"], golden["logits_16"]
    decoder = OnnxDecoder(directory)
    got = decoder.logits(ids, PREFILL)
    errors = {"prefill": relative_rms(got[:PREFILL], want[:PREFILL]), "decode": relative_rms(got[PREFILL:], want[PREFILL:])}
    if batch:
        first, second = decoder.left_padded(ids, ids[:-PADDING], PREFILL, padding_id=7)
        errors["whole row"] = relative_rms(first, want)
        errors["padded row"] = relative_rms(second, want[:-PADDING])
    return errors
