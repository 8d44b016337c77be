"""The performance suite: one file per question, one test per probe, one item per cell.

Run it with `pytest --pyargs pytest_calico_perf.suite --calico-mode=ipip,bgp,vxlan`.
"""
