// What a row of a file says, in the formats of ms-swift and TRL, before it is tokenized.
import Text

/// What is to be made tokens of.
enum RowContent: Sendable, Hashable {
    /// A text of which all is learned.
    case text(String)
    case conversation(Conversation)
    /// A conversation that goes on in a better and a worse way.
    case pair(prompt: Conversation, chosen: Conversation, rejected: Conversation)
    /// The same without roles.
    case textPair(prompt: String, chosen: String, rejected: String)
    case judged(prompt: Conversation, completion: Conversation, isDesirable: Bool)
    case judgedText(prompt: String, completion: String, isDesirable: Bool)
    /// Tokens that the file has itself.
    case tokens(TrainingRow)
}
