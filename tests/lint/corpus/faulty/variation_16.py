# expect: modules-in-plain-container
import torch.nn as nn
class Encoder(nn.Module):
    def __init__(self, n_layers, d):
        super().__init__()
        self.layers = [nn.TransformerEncoderLayer(d, 8) for _ in range(n_layers)]
        self.norm = nn.LayerNorm(d)
    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)
