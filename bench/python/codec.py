# codec.py ints|floats|strings|tree encode|decode: pickle, protocol 5
import gc, math, pickle, statistics, sys
from kit import *

what, way, count = sys.argv[1], sys.argv[2], n(1 << 20)

def node(depth):
    return {"v": depth, "left": node(depth - 1), "right": node(depth - 1)} if depth else None

value = {
    "ints": lambda: list(range(1, count + 1)),
    "floats": lambda: [i + 0.5 for i in range(1, count + 1)],
    "strings": lambda: [f"item{i}" for i in range(1, count + 1)],
    "tree": lambda: node(round(math.log2(count))),
}[what]()
text = pickle.dumps(value, 5)
if way == "decode": value = None
times = []
for _ in range(3):
    gc.collect()
    began = now()
    keep = pickle.dumps(value, 5) if way == "encode" else pickle.loads(text)
    times.append(now() - began)
    del keep
report(statistics.median(times), count)
