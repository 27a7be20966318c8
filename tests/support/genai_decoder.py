"""An exported ONNX package in onnxruntime-genai."""
import json

import numpy as np
import onnxruntime_genai


class GenaiDecoder:
    def __init__(self, directory):
        self.model = onnxruntime_genai.Model(str(directory))

    def _generator(self, ids, max_length):
        parameters = onnxruntime_genai.GeneratorParams(self.model)
        parameters.set_search_options(max_length=max_length)
        generator = onnxruntime_genai.Generator(self.model, parameters)
        generator.append_tokens(np.asarray(ids, np.int32).reshape(1, -1))
        return generator

    def logits(self, ids, prefill):
        """float32 [T - prefill + 1, V]: the last row of a prefill of ids[:prefill], then a row for each further id."""
        generator = self._generator(ids[:prefill], len(ids) + 1)
        rows = [generator.get_logits()[0, -1]]
        for i in ids[prefill:]:
            generator.append_tokens(np.array([[i]], np.int32))
            rows.append(generator.get_logits()[0, -1])
        return np.stack(rows)

    def greedy(self, ids, count):
        """The ids that a greedy decode appends: `count`, or fewer with an end in the last place."""
        generator = self._generator(ids, len(ids) + count)
        out = []
        while len(out) < count and not generator.is_done():
            generator.generate_next_token()
            out.append(int(generator.get_next_tokens()[0]))
        return out

    def encode(self, texts):
        tokenizer = onnxruntime_genai.Tokenizer(self.model)
        return [[int(i) for i in tokenizer.encode(text)] for text in texts]

    def chat(self, conversations):
        """The prompt of each list of {role, content}."""
        tokenizer = onnxruntime_genai.Tokenizer(self.model)
        return [tokenizer.apply_chat_template(json.dumps(c), add_generation_prompt=True) for c in conversations]
