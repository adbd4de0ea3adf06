import torch
from hypothesis import given
from hypothesis import strategies as st

from lit_ae.preprocessing import Preprocessing, Rescale

numbers = st.floats(-1000, 1000)


@given(numbers, st.floats(0.5, 1000), st.sampled_from([0.0, -1.0]), st.lists(st.floats(0, 1), min_size=1))
def test_rescale_maps_the_ends_and_comes_back(low, span, lowest, shares):
    rescale = Rescale(low, low + span, lowest=lowest)
    raw = low + span * torch.tensor(shares, dtype=torch.double)
    x = rescale.apply(raw)
    assert x.min() >= lowest - 1e-3
    assert x.max() <= 1 + 1e-3
    assert torch.allclose(rescale.invert(x).double(), raw, atol=1e-3 * max(1, abs(low)))
    assert torch.equal(Preprocessing.from_dict(rescale.to_dict()).apply(raw), x)


def test_a_threshold_leaves_only_the_two_ends():
    raw = torch.tensor([0.0, 7.9, 8.0, 16.0])
    assert Rescale(0, 16, threshold=0.5).apply(raw).tolist() == [0, 0, 1, 1]
    assert Rescale(0, 16, threshold=0.5, lowest=-1).apply(raw).tolist() == [-1, -1, 1, 1]
