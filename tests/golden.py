"""Golden numbers: what the first steps of every method compute, in float64 on one thread.

Rewriting that is mathematically equal leaves them as they are, on any processor; test_golden.py compares.
A change on purpose says why:  python tests/golden.py --write 'REASON'
"""
import json, sys
from pathlib import Path

import torch

FILE = Path(__file__).with_name('golden.json')
STEPS = 3

def cases() -> dict: # name -> untrained model
    "Every method, and EncGAN3 in all its forms."
    from encgan3.baselines.g3an import G3AN
    from encgan3.baselines.mocogan import MoCoGAN
    from encgan3.baselines.tgan import TGAN
    from encgan3.baselines.tsgan import TSGAN
    from encgan3.baselines.twostreamvan import TwoStreamVAN
    from encgan3.baselines.vgan import VGAN
    from encgan3.baselines.videovae import VideoVAE
    from encgan3.model import EncGAN3
    codes = dict(content=6, motion=3)
    widths = dict(ch=2, encoder_ch=3, discriminator_ch=2)
    enc = lambda **settings: lambda: EncGAN3.from_preset('micro', seed=1, **widths | codes | settings)
    g3an = lambda **settings: lambda: G3AN.from_preset('micro', seed=1, **dict(ch=2) | codes | settings)
    streams = lambda **settings: lambda: TwoStreamVAN.from_preset('micro', seed=1, ch=4, content=6, motion=3,
            schedule=(2, 4), **settings)
    return {
        'EncGAN3 printed': enc(), 'EncGAN3 companion': enc(recipe='companion'),
        'EncGAN3 encoders see less': enc(encoder_size=16),
        'EncGAN3 no F-SA': enc(attention=False), 'EncGAN3 swapped F-SA': enc(attention='g3an'),
        'EncGAN3 no G_S': enc(spatial=False), 'EncGAN3 no G_T': enc(temporal=False),
        'EncGAN3 no G_S, G_T': enc(spatial=False, temporal=False),
        'EncGAN3 late stage': enc(recipe='companion', any_frame=True, recolour=True, batch_statistics=False),
        'EncGAN3 warm-up': enc(adversarial=0.),
        'G3AN': g3an(), 'G3AN F-SA': g3an(attention=True), 'G3AN swapped F-SA': g3an(attention='g3an'),
        'VGAN': lambda: VGAN.from_preset('micro', seed=1, ch=4),
        'TGAN': lambda: TGAN.from_preset('micro', seed=1, ch=4, clip_every=2),
        'MoCoGAN': lambda: MoCoGAN.from_preset('micro', seed=1, ch=4),
        'TwoStreamVAN content': streams(content_share=1.),
        'TwoStreamVAN frame': streams(content_share=0., video_share=(0., 0.)),
        'TwoStreamVAN video': streams(content_share=0., video_share=(1., 1.)),
        'VideoVAE': lambda: VideoVAE.from_preset('micro', seed=1, ch=4, latent=6),
        'TS-GAN': lambda: TSGAN.from_preset('micro', seed=1, ch=4, parts=(2, 4, 3))}

def checksum(tensors: list) -> list[float]: # norm, and a sum that notices order and signs
    flat = torch.cat([t.detach().flatten() for t in tensors if t.is_floating_point()] or [torch.zeros(0)])
    return [flat.norm().item(), (flat*torch.arange(len(flat)).cos()).sum().item()]

def checksums(model) -> dict: # part -> numbers
    "Of each part's parameters and of its buffers."
    parts = dict(model.named_children())
    return {f'{name} {kind}': checksum(list(getattr(part, kind)())) for name, part in parts.items()
            for kind in ('parameters', 'buffers')}

def settled(optimizer) -> list[float]:
    """Numbers that an optimizer is set to. Afterwards its epsilon is large: biases before a batch
    normalisation have a gradient of 0, and Adam would make steps of the rounding errors there.
    """
    kept = [float(x) for group in optimizer.param_groups for key, value in sorted(group.items())
            if key in ('alpha', 'betas', 'eps', 'lr', 'momentum', 'weight_decay')
            for x in (value if isinstance(value, tuple) else [value])]
    for group in optimizer.param_groups:
        group['eps'] = 1e-3
    return kept

def numbers(make) -> dict: # of cases
    "First weights, losses of the first steps, last weights, and clips of the model that they make."
    generator = torch.Generator().manual_seed(2)
    model = make().train()
    with torch.no_grad(): # open the gates, or F-SA hardly counts
        for name, p in model.named_parameters():
            if name.endswith('gamma'):
                p.fill_(.5)
    found = {'first weights': checksums(model)}
    optimizers = model.optimizers()
    found['settings'] = {name: settled(optimizer) for name, optimizer in optimizers.items()}
    for step in range(STEPS):
        clip = torch.rand(2, 3, 16, *2*[model.config['size']], generator=generator)*2 - 1
        losses, noted = [], {}
        for optimizer, loss, terms in model.updates(clip, optimizers, generator):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            noted |= terms
        found[f'step {step}'] = ({'losses': losses}
                                 | {name: [value.item()] for name, value in noted.items()})
    model.eval()
    found['last weights'] = checksums(model)
    found['clips'] = {'new': checksum([model.sample(2, generator=generator)])}
    if hasattr(model, 'reconstruct'):
        found['clips']['rebuilt'] = checksum([model.reconstruct(clip)])
    return found

def measured(names=None) -> dict:
    "Numbers of some cases, or of all; float64 throughout, so that no draw depends on the processor."
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    torch.set_num_threads(1), torch.set_default_dtype(torch.float64)
    try:
        return {name: numbers(make) for name, make in cases().items() if names is None or name in names}
    finally:
        torch.set_num_threads(threads), torch.set_default_dtype(dtype)

if __name__ == '__main__':
    if len(sys.argv) != 3 or sys.argv[1] != '--write' or len(sys.argv[2].split()) < 3:
        sys.exit("say why the numbers change, in three words or more:  python tests/golden.py --write "
                 "'REASON'")
    sys.path.insert(0, str(FILE.parents[1]))
    reasons = json.loads(FILE.read_text())['reasons'] if FILE.exists() else []
    FILE.write_text(json.dumps({'reasons': reasons + [sys.argv[2]], 'numbers': measured()}, indent=0) + '\n')
