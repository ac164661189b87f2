"""Terms of a plasticity training (NPT): a frozen layer whose attention acts by bending its MLP.

The layer: `Modulation`, `Factors`, `scalars`, `gate_update`, `modulated_mlp`. Its terms:
`direct_mlp`, `logit_fidelity`, `regularisation`, `attention_encoding`. Proposals to improve it, in
a form that works: `modulation_guidance`, `decomposed_target`, `information_bottleneck`,
`projection_consistency`, `orthogonality`, `inverse_norm_weights`, `attention_curriculum`; as they
were reported: `poise.losses.plasticity.reported`. What to monitor: `modulation_statistics`.

Source: the NPT project's loss notes and its trainer. docs/incidents/plasticity.md tells what each
does in a training.
"""

from poise.losses.plasticity.adaptive import inverse_norm_weights as inverse_norm_weights
from poise.losses.plasticity.curriculum import attention_curriculum as attention_curriculum
from poise.losses.plasticity.decomposition import Parts as Parts
from poise.losses.plasticity.decomposition import decomposed_target as decomposed_target
from poise.losses.plasticity.encoding import attention_encoding as attention_encoding
from poise.losses.plasticity.encoding import information_bottleneck as information_bottleneck
from poise.losses.plasticity.encoding import orthogonality as orthogonality
from poise.losses.plasticity.guidance import modulation_guidance as modulation_guidance
from poise.losses.plasticity.guidance import projection_consistency as projection_consistency
from poise.losses.plasticity.modulation import Factors as Factors
from poise.losses.plasticity.modulation import Modulation as Modulation
from poise.losses.plasticity.modulation import gate_update as gate_update
from poise.losses.plasticity.modulation import modulated_mlp as modulated_mlp
from poise.losses.plasticity.modulation import scalars as scalars
from poise.losses.plasticity.statistics import modulation_statistics as modulation_statistics
from poise.losses.plasticity.supervision import direct_mlp as direct_mlp
from poise.losses.plasticity.supervision import logit_fidelity as logit_fidelity
from poise.losses.plasticity.supervision import regularisation as regularisation
