"""Tests of the OpenTelemetry integration, with the real SDK and its exporters in memory."""
