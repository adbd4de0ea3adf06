"""What the contractive penalty costs, beside a loop of one backward pass a unit: ``python -m benchmarks.jacobian``.

Each way computes |dh/dx|²_F of a batch and its gradient in the weights. The ways take turns, so that whatever else the
machine does meets all of them alike; medians are shown.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from lit_ae.jacobian import encoder_contraction, squared_jacobian
from lit_ae.networks import MLP, Network, Sizes
from lit_ae.preprocessing import Rescale
from lit_ae.spec import DataSpec

SPEC = DataSpec("random numbers", "table", (784,), Rescale(0, 1), (0.0, 1.0), synthetic=True)
ROWS, UNITS, TURNS = 128, 64, 15

Way = Callable[[Network, Tensor], Tensor]


def loop(network: Network, x: Tensor) -> Tensor:
    """One backward pass a unit: what the others are compared with. ``(N,)``."""
    x = x.detach().requires_grad_()
    code = network.encode(x)
    total = x.new_zeros(len(x))
    for unit in range(code.shape[1]):
        (row,) = torch.autograd.grad(code[:, unit].sum(), x, create_graph=True)
        total = total + row.square().flatten(1).sum(1)
    return total


def vectorised(network: Network, x: Tensor) -> Tensor:
    """One backward pass, batched over the units: what any encoder gets."""
    return squared_jacobian(network.encode, x)


def estimate(network: Network, x: Tensor) -> Tensor:
    """Hutchinson's estimate by one probe."""
    return encoder_contraction(network, x, probes=1)


WAYS: dict[str, Way] = {
    "loop": loop,
    "vectorised": vectorised,
    "as chosen": encoder_contraction,
    "one probe": estimate,
}


def seconds(network: Network, x: Tensor, turns: int = TURNS) -> dict[str, float]:
    """Median seconds of each way, forward and backward, after a turn that does not count."""
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    for turn in range(turns + 1):
        for name, way in WAYS.items():
            network.zero_grad()
            start = time.perf_counter()
            way(network, x).mean().backward()
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Prints the table: milliseconds a batch, and how many times faster than the loop."""
    torch.manual_seed(0)
    x = torch.rand(ROWS, SPEC.features)
    print(f"{ROWS} rows of {SPEC.features} features, {UNITS} units, {torch.get_num_threads()} threads, on the CPU")
    for hidden in ([256], [512, 256]):
        network = MLP(SPEC, Sizes(UNITS), hidden=hidden)
        times = seconds(network, x)
        print(f"\nencoder {SPEC.features}-{'-'.join(map(str, hidden))}-{UNITS}")
        for name, median in times.items():
            print(f"  {name:12} {1000 * median:9.1f} ms   {times['loop'] / median:6.2f} x")


if __name__ == "__main__":
    main()
