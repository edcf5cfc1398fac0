"""
Check that a read database keeps read models in step, whatever it is made of.

Subclass `ReadDatabaseConformance`, say how the database of a folder is opened, and
let pytest (with pytest-asyncio in auto mode) collect it:

    class TestMyReadDatabase(ReadDatabaseConformance):
        def open_read_db(self, folder: Path) -> AbstractAsyncContextManager[ReadDatabase]:
            return open_read_db(f"sqlite:///{folder / 'read.db'}")
"""

from diptych.testing.conformance.asking import Paging, Searching
from diptych.testing.conformance.changing import Changing
from diptych.testing.conformance.ending import Ending
from diptych.testing.conformance.feeding import Feeding
from diptych.testing.conformance.following import Catching, Failing, Following
from diptych.testing.conformance.leaving import Leaving
from diptych.testing.conformance.lengthy import Lengthy
from diptych.testing.conformance.looking import Looking
from diptych.testing.conformance.migrating import Migrating
from diptych.testing.conformance.overtaking import Overtaking
from diptych.testing.conformance.owning import Owning, Pointing
from diptych.testing.conformance.reacting import Reacting
from diptych.testing.conformance.rebuilding import Rebuilding
from diptych.testing.conformance.repairing import Parking, Repairing
from diptych.testing.conformance.rows import Rows
from diptych.testing.conformance.sharing import Sharing
from diptych.testing.conformance.splitting import Splitting
from diptych.testing.conformance.switching import Switching
from diptych.testing.conformance.telling import Telling
from diptych.testing.conformance.transacting import Transacting
from diptych.testing.conformance.verifying import Verifying
from diptych.testing.conformance.waiting import Waiting
from diptych.testing.conformance.walking import Walking


class ReadDatabaseConformance(
    Migrating,
    Transacting,
    Owning,
    Overtaking,
    Sharing,
    Telling,
    Pointing,
    Rows,
    Paging,
    Searching,
    Walking,
    Lengthy,
    Looking,
    Following,
    Failing,
    Parking,
    Repairing,
    Catching,
    Feeding,
    Waiting,
    Rebuilding,
    Ending,
    Switching,
    Splitting,
    Leaving,
    Reacting,
    Verifying,
    Changing,
):
    """What holds for every read database: say how yours is opened with `open_read_db(folder)`."""
