"""Re-entry: one attacker in every role that is called back, playing every function and every view.

`world` is a deployment in which that can happen, `calls` makes calls out of ABIs, `entries` are the
transactions that call out, `machine` plays and judges, `sites` reads the sources for calls out.
"""
