"""What a GAN declares, and what a model with three networks and two exhibits does."""

from minigan.model import Judgement, Measure
from minigan.training.declared import Declared

GAN = Declared(
    measures={
        "d_loss": Measure("D", "Losses"),
        "g_loss": Measure("G", "Losses"),
        "d_real": Measure("D(x), real", "Output of D", "opinion"),
        "d_fake": Measure("D(G(z)), generated", "Output of D", "opinion"),
        "penalty": Measure("penalty", "Gradient penalty", "positive"),
    },
    judgements={"fid": Judgement("FID"), "is": Judgement("Inception Score", "higher")},
    networks={"D": "Discriminator", "G": "Generator"},
    layers={"G.0": "Dense(4, 8)", "G.3": "Dense(8, 256)", "D.0": "Conv2D(1, 2, 4)"},
    exhibits=("samples",),
)
THREE = Declared(
    measures={
        "encoder": Measure("encoder", "Losses"),
        "decoder": Measure("decoder", "Losses"),
        "critic": Measure("critic", "Losses"),
        "kl": Measure("KL divergence, in nats", "Divergence", "positive", note="per latent"),
        "share": Measure("share of active units", "Active units", "share"),
    },
    judgements={"psnr": Judgement("PSNR", "higher"), "lpips": Judgement("distance", "lower", scale="share")},
    networks={"critic": "critic", "encoder": "encoder", "decoder": "decoder"},
    exhibits=("samples", "reconstructions"),
)
