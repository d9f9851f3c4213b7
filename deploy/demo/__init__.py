"""The demo: a real service breaks, is noticed, remedied and verified, on real parts where they can be had."""
