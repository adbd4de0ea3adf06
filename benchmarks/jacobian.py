"""What the contractive penalty costs, beside a loop of one backward pass a unit: ``python -m benchmarks.jacobian``.

Each way computes |dh/dx|²_F of a batch and its gradient in the weights. The ways take turns, so that whatever else the
machine does meets all of them alike; medians of the CPU time are shown, and the multiplications that a way needs: what
is exact can't be faster than its products, and only with one hidden layer does the closed form do without those of
samples by units.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from lit_ae.jacobian import encoder_contraction, squared_jacobian
from lit_ae.networks import MLP, Conv, Network, Sizes
from lit_ae.preprocessing import Rescale
from lit_ae.spec import DataSpec

SPEC = DataSpec("random numbers", "image", (1, 28, 28), Rescale(0, 1), (0.0, 1.0), synthetic=True)
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
    """Median CPU seconds of each way, forward and backward, after a turn that does not count."""
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    for turn in range(turns + 1):
        for name, way in WAYS.items():
            network.zero_grad()
            start = time.process_time()
            way(network, x).mean().backward()
            if turn:
                times[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def products(network: Network, x: Tensor) -> dict[str, float]:
    """Floating-point operations of each way's matrix products and convolutions, forward and backward."""
    counts = {}
    for name, way in WAYS.items():
        with FlopCounterMode(display=False) as counter:
            way(network, x).mean().backward()
        counts[name] = float(counter.get_total_flops())
    return counts


def main() -> None:
    """Prints the table: milliseconds a batch, how many times faster than the loop, and the work in it."""
    torch.manual_seed(0)
    x = torch.rand(ROWS, *SPEC.shape)
    print(f"{ROWS} rows of {SPEC.features} features, {UNITS} units, {torch.get_num_threads()} threads, on the CPU")
    networks: dict[str, Network] = {
        "784-256-64": MLP(SPEC, Sizes(UNITS), hidden=[256]),
        "784-512-256-64": MLP(SPEC, Sizes(UNITS), hidden=[512, 256]),
        "of 8 and 16 channels": Conv(SPEC, Sizes(UNITS), channels=[8, 16]),
    }
    for title, network in networks.items():
        times, work = seconds(network, x), products(network, x)
        print(f"\nencoder {title}")
        for name, median in times.items():
            cost = f"{1000 * median:9.1f} ms   {times['loop'] / median:6.2f} x"
            print(f"  {name:12} {cost}   {work[name] / 1e9:7.2f} GFLOP")


if __name__ == "__main__":
    main()
