"""Tolerances of the comparison with Hugging Face, as relative RMS of the logits, each with its reason."""

# A 16-bit package holds exactly the weights that the golden was computed on, and both sides compute in float32: what
# is left is the order of the sums, about 1e-6 here. A hundred times that still sees the smallest fault of interest
# (another epsilon moves the logits of the fixtures by 3e-3 or more).
LOGITS_16_BIT = 1e-4

# 8-bit codes have a step of range / 255, so a weight is off by up to 0.2 % of its block's range; uniform weights of a
# few layers turn that into about 1 % of the logits.
LOGITS_8_BIT = 5e-2
