"""Models of NetKet whose arguments are no plain data, wrapped as a user would. Needs netket."""

import flax.linen as nn
import netket as nk


class ChainGCNN(nn.Module):
    @nn.compact
    def __call__(self, s):
        return nk.models.GCNN(symmetries=nk.graph.Chain(s.shape[-1]), layers=2, features=3, name="inner")(s)


class SpinARNN(nn.Module):
    @nn.compact
    def __call__(self, s):
        space = nk.hilbert.Spin(0.5, s.shape[-1])
        return nk.models.ARNNDense(hilbert=space, layers=2, features=4, name="inner")(s)
