"""Values, models and foreign objects as JSON: what may be stored, and how it becomes bytes."""
