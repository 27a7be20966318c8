"""Decoders that transformers has no class for, written from their papers and configs as plain torch modules. Parameters have
the names of the published checkpoints. Used by tools/regen_goldens.py only."""
MODELS = {}
