"""What the agent is held against: the loop that anybody would write. Prints the median of one second in nanoseconds."""

import statistics
import sys
from time import perf_counter_ns

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

model, resolver = sys.argv[1], getattr(OpResolverType, sys.argv[2])
interpreter = Interpreter(model_path=model, num_threads=1, experimental_op_resolver_type=resolver)
interpreter.allocate_tensors()
for detail in interpreter.get_input_details():
    interpreter.set_tensor(detail["index"], np.random.RandomState(0).random_sample(detail["shape"]).astype(detail["dtype"]))
for _ in range(10):
    interpreter.invoke()
times = []
end = perf_counter_ns() + 1_000_000_000
while perf_counter_ns() < end or len(times) < 50:
    began = perf_counter_ns()
    interpreter.invoke()
    times.append(perf_counter_ns() - began)
print(statistics.median(times))
