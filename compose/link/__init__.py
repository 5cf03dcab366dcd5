"""The link between an app and a separate Redis: the relay that delays it, its calibration and control, and
the round trip achieved.
"""
