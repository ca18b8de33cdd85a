import Glibc
import Notebook

exit(runOnLargeStack { GradusCommand.runMain() })
