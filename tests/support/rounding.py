"""The laws of rounding to nearest, on decoded codes."""
import numpy as np

# Arithmetic of the check, relative to a step: the tool's float32 quotients of up to 255 steps are off by 255 * 2^-24.
SLACK = 255 * 2.0**-23


def half_ulp(x, scale_bits):
    """Largest rounding error of x in its stored type."""
    dtype = np.float16 if scale_bits == 16 else np.float32
    return np.abs(np.spacing(x.astype(dtype)).astype(np.float64)) / 2


def rounding_faults(linear, source):
    """One line for each law that `linear` (a mnn_package.Linear) breaks against `source` (float64, the same rows).

    No other code may be nearer, and the error is at most half a stored step, plus the rounding of the stored offset
    (which can shift the ends of a block's range).
    """
    scale = np.repeat(linear.scale, linear.block, axis=1)
    offset = np.repeat(linear.offset, linear.block, axis=1)
    if not (scale > 0).all():
        return [f"{linear.name}: a scale is not positive"]
    half = 1 << (linear.bits - 1)
    error = np.abs(linear.weight - source)
    nearest = np.clip(np.rint((source - offset) / scale), -half, half - 1)
    best = np.abs(nearest * scale + offset - source)
    stored_rounding = 0 if linear.symmetric else half_ulp(offset, linear.scale_bits)
    faults = []
    if (error > best + SLACK * scale).any():
        faults.append(f"{linear.name}: a nearer code exists")
    if (error > scale * (0.5 + SLACK) + stored_rounding).any():
        faults.append(f"{linear.name}: an error above half a step, {(error / scale).max():.4f} steps")
    return faults
