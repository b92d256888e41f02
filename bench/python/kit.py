# What the Python programs share: the same questions as the Lua ones, in the same form.
import os, time

now = time.perf_counter

def n(usual): return int(os.environ.get("N", usual))

def report(seconds, count): print(f"ns {seconds / count * 1e9:.3f}", flush=True)

def payload(kind):
    if kind == "int":
        return lambda i: i
    if kind == "str":
        texts = ["%032d" % (i * 7919) for i in range(1024)]
        return lambda i: texts[i & 1023]
    if kind == "table":
        table = {"id": 1, "name": "x", "values": [1, 2, 3]}
        return lambda i: table
    big = b"x" * (1 << 20)
    return lambda i: big
