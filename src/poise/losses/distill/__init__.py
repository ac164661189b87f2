"""Distillation of a language model into another with a tokenizer of its own.

Divergences, alignment of tokens and vocabularies, hidden states, attention, routing, contrast, the
language model's own loss, and measures of what is retained. `reported` keeps what two incident
notes used instead.

Example:
    >>> from poise.losses.distill import align_ends, shared_vocabulary_kl
"""

from poise.losses.distill.alignment import ALIGN as ALIGN
from poise.losses.distill.alignment import Alignment as Alignment
from poise.losses.distill.alignment import align_ends as align_ends
from poise.losses.distill.alignment import align_interpolated as align_interpolated
from poise.losses.distill.alignment import align_spans as align_spans
from poise.losses.distill.alignment import align_truncated as align_truncated
from poise.losses.distill.alignment import end_gap as end_gap
from poise.losses.distill.attention import attention_kl as attention_kl
from poise.losses.distill.attention import carry_attention as carry_attention
from poise.losses.distill.contrastive import info_nce as info_nce
from poise.losses.distill.contrastive import mean_pooled as mean_pooled
from poise.losses.distill.divergence import temperature_kl as temperature_kl
from poise.losses.distill.divergence import top_k_union_kl as top_k_union_kl
from poise.losses.distill.divergence import universal_logit as universal_logit
from poise.losses.distill.hidden import FeatureProjector as FeatureProjector
from poise.losses.distill.hidden import hidden_loss as hidden_loss
from poise.losses.distill.hidden import largest_share as largest_share
from poise.losses.distill.hidden import matched_layers as matched_layers
from poise.losses.distill.language import next_token_loss as next_token_loss
from poise.losses.distill.language import perplexity as perplexity
from poise.losses.distill.retention import retained_kl as retained_kl
from poise.losses.distill.retention import top_k_overlap as top_k_overlap
from poise.losses.distill.routing import Attended as Attended
from poise.losses.distill.routing import Router as Router
from poise.losses.distill.routing import Routing as Routing
from poise.losses.distill.routing import load_balance as load_balance
from poise.losses.distill.routing import routing_schedule as routing_schedule
from poise.losses.distill.vocabulary import SharedVocabulary as SharedVocabulary
from poise.losses.distill.vocabulary import shared_vocabulary as shared_vocabulary
from poise.losses.distill.vocabulary import shared_vocabulary_kl as shared_vocabulary_kl
