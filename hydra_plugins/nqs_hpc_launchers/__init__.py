"""Hydra plugins of nqs_hpc. Hydra imports them at every start of any application, so they load nothing heavy."""
