"""Adapters (PEFT): their folders, their layers in a model, and models that are trained by one."""
