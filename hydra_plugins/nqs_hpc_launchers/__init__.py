"""Hydra's plugins of nqs_hpc. Hydra imports them at every start of every application: they load nothing heavy."""
