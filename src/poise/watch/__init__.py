"""Watches a training: what each step did, at what learning rate, and what each term did to it."""

from poise.watch.watch import Watch as Watch
