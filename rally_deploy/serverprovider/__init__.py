"""Server providers: each makes or names servers. Siblings never import each other."""
