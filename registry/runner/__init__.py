"""Running plugins in processes of their own, and recording what came of it."""
