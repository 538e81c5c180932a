"""The database's revisions. A new one is a file in ``versions`` that is never changed later.

Its ``revision`` goes to the end of :data:`rally_deploy.store.database.REVISIONS`; a test holds
that the tables after all revisions are those of ``schema.py``.
"""
