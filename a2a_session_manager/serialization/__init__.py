"""JSON of values, models and foreign objects: what may be stored, and how it becomes bytes."""
