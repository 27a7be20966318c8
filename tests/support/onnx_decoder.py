"""An exported llm.onnx in onnxruntime."""
import pathlib

import numpy as np
import onnxruntime

PAST, PRESENT = "past_key_values.", "present."


class OnnxDecoder:
    """Runs llm.onnx on float32 arithmetic, one thread. `exact` asks for float arithmetic where onnxruntime would round
    activations to 8 bits on its own account (DequantizeLinear in front of MatMul)."""

    def __init__(self, directory, exact=True):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        if exact:
            options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "0")
        path = pathlib.Path(directory) / "llm.onnx"
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.shapes = {i.name: i.shape for i in self.session.get_inputs()}
        self.past_names = [n for n in self.shapes if n.startswith(PAST)]
        self.outputs = [o.name for o in self.session.get_outputs()]

    def empty_past(self, batch):
        return {n: np.zeros((batch, self.shapes[n][1], 0, self.shapes[n][3]), np.float32) for n in self.past_names}

    def step(self, ids, mask, past):
        """(logits [B, S, V], the new past) of ids [B, S] behind `past`; mask [B, past + S]."""
        ids, mask = np.asarray(ids, np.int64), np.asarray(mask, np.int64)
        positions = np.clip(np.cumsum(mask, axis=1) - 1, 0, None)[:, -ids.shape[1]:]
        values = self.session.run(self.outputs, {"input_ids": ids, "attention_mask": mask, "position_ids": positions, **past})
        out = dict(zip(self.outputs, values))
        return out["logits"], {n: out[n.replace(PAST, PRESENT)] for n in self.past_names}

    def logits(self, ids, prefill):
        """float32 [T, V]: one prefill of ids[:prefill], then one step for each further id."""
        ids = np.asarray(ids)
        rows, past = self.step(ids[None, :prefill], np.ones((1, prefill)), self.empty_past(1))
        out = [rows[0]]
        for at in range(prefill, len(ids)):
            rows, past = self.step(ids[None, at:at + 1], np.ones((1, at + 1)), past)
            out.append(rows[0])
        return np.concatenate(out)

    def left_padded(self, first, second, prefill, padding_id=0):
        """[rows of `first`, rows of `second`]: both sequences, of which the second is shorter, in one batch with padding
        on the left; the last columns one step at a time. `prefill` counts columns of the batch."""
        total, padding = len(first), len(first) - len(second)
        ids = np.stack([first, np.concatenate([np.full(padding, padding_id), second])])
        mask = np.ones((2, total))
        mask[1, :padding] = 0
        rows, past = self.step(ids[:, :prefill], mask[:, :prefill], self.empty_past(2))
        out = [rows]
        for at in range(prefill, total):
            rows, past = self.step(ids[:, at:at + 1], mask[:, :at + 1], past)
            out.append(rows)
        rows = np.concatenate(out, axis=1)
        return rows[0], rows[1, padding:]

    def greedy(self, ids, count):
        """The `count` ids that a greedy decode appends."""
        rows, past = self.step(np.asarray(ids)[None], np.ones((1, len(ids))), self.empty_past(1))
        out = []
        while True:
            out.append(int(rows[0, -1].argmax()))
            if len(out) == count:
                return out
            rows, past = self.step([[out[-1]]], np.ones((1, len(ids) + len(out))), past)
