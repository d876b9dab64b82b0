"""Tests of budgets: the rules alone, without a store."""
